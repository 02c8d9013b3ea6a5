"""Plans are made of what there is to be and of what there is, and asked of no broker."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_schemas.topics import Kind, all_topics, state_of, topic_named
from servicekit.kafka.topic_layout import TopicLayout
from tailrace.topics.plan import Action, Change, Found, plan

RECORDS = topic_named("record.received")
PREDICTIONS = topic_named("prediction.logged")
STEPS = topic_named("rollout.step")


def as_planned(topic: str, partitions: int = 1, copies: int = 1, **config: str) -> dict[str, Found]:
    return {topic: Found(partitions, copies, {**topic_named(topic).config, **config})}


def actions(steps: Sequence[Change]) -> list[tuple[str, Action]]:
    return [(step.topic, step.action) for step in steps]


def test_what_is_missing_is_created_but_for_state_which_its_service_makes() -> None:
    steps = plan([RECORDS, STEPS, state_of("deployer")], {}, TopicLayout(12, 3))
    assert actions(steps) == [
        ("record.received", Action.CREATE),
        ("rollout.step", Action.CREATE),
    ]
    assert (steps[0].partitions, steps[0].copies) == (12, 3)
    assert steps[0].config["min.insync.replicas"] == "2"
    assert (steps[1].partitions, steps[1].config["cleanup.policy"]) == (1, "compact")


@pytest.mark.parametrize(("copies", "enough"), [(1, None), (2, "1"), (3, "2"), (5, "2")])
def test_what_is_acknowledged_outlives_a_broker(copies: int, enough: str | None) -> None:
    config = TopicLayout(1, copies).config(RECORDS)
    assert config.get("min.insync.replicas") == enough


def test_a_topic_whose_readers_keep_nothing_grows() -> None:
    (step,) = plan([RECORDS], as_planned("record.received"), TopicLayout(3))
    assert (step.action, step.partitions) == (Action.GROW, 3)


def test_a_topic_whose_readers_keep_state_by_partition_does_not() -> None:
    (step,) = plan([PREDICTIONS], as_planned("prediction.logged"), TopicLayout(3))
    assert step.action is Action.REFUSE
    assert "keep state by partition" in step.text
    assert not step.does


def test_no_topic_shrinks() -> None:
    (step,) = plan([RECORDS], as_planned("record.received", 3), TopicLayout(2))
    assert step.action is Action.REFUSE
    assert "set KAFKA_PARTITIONS=3" in step.text
    (step,) = plan([STEPS], as_planned("rollout.step", 3), TopicLayout(2))
    assert "one order" in step.text


def test_other_options_are_set_and_the_old_value_is_shown() -> None:
    found = as_planned("rollout.step", 1, 1, **{"cleanup.policy": "delete"})
    (step,) = plan([STEPS], found, TopicLayout())
    assert step.action is Action.CONFIGURE
    assert step.config == {"cleanup.policy": "compact"}
    assert step.text == "cleanup.policy delete → compact"


def test_another_number_of_copies_is_reported_and_left_to_the_operator() -> None:
    (step,) = plan([STEPS], as_planned("rollout.step"), TopicLayout(1, 3))
    assert step.action is Action.NOTE
    assert "has 1 copy, and is to have 3" in step.text


def test_options_of_a_deployment_go_before_the_contracts_but_for_the_cleanup_policy() -> None:
    options = {
        "rollout.step/segment.ms": "7",
        "segment.ms": "5",
        "cleanup.policy": "delete",
        "record.received/retention.ms": "9",
    }
    layout = TopicLayout(1, -1, options)
    assert layout.config(STEPS)["segment.ms"] == "7"
    assert layout.config(STEPS)["cleanup.policy"] == "compact"
    assert layout.config(RECORDS)["segment.ms"] == "5"
    assert layout.config(RECORDS)["retention.ms"] == "9"
    assert "retention.ms" not in layout.config(STEPS)


def applied(found: dict[str, Found], steps: Sequence[Change]) -> dict[str, Found]:
    """What a cluster has after the steps."""
    after = dict(found)
    for step in steps:
        if step.action is Action.CREATE:
            copies = step.copies if step.copies > 0 else 1
            after[step.topic] = Found(step.partitions, copies, dict(step.config))
        elif step.action is Action.GROW:
            old = after[step.topic]
            after[step.topic] = Found(step.partitions, old.copies, old.config)
        elif step.action is Action.CONFIGURE:
            old = after[step.topic]
            config = {**old.config, **step.config}
            after[step.topic] = Found(old.partitions, old.copies, config)
    return after


founds = st.dictionaries(
    st.sampled_from([topic.name for topic in all_topics()]),
    st.builds(
        Found,
        st.integers(1, 6),
        st.integers(1, 4),
        st.dictionaries(
            st.sampled_from(["cleanup.policy", "retention.ms", "segment.ms"]),
            st.sampled_from(["1", "delete", "compact"]),
        ),
    ),
)
layouts = st.builds(TopicLayout, st.integers(1, 6), st.sampled_from([-1, 1, 2, 3]))


@given(founds, layouts)
def test_a_plan_that_was_applied_has_nothing_left_to_do(
    found: dict[str, Found], layout: TopicLayout
) -> None:
    after = applied(found, plan(all_topics(), found, layout))
    assert not [step for step in plan(all_topics(), after, layout) if step.does]


@given(founds, layouts)
def test_no_plan_takes_a_partition_away_or_moves_a_key_that_has_state(
    found: dict[str, Found], layout: TopicLayout
) -> None:
    after = applied(found, plan(all_topics(), found, layout))
    for name, before in found.items():
        assert after[name].partitions >= before.partitions
        if not topic_named(name).may_grow or topic_named(name).kind is Kind.STATE:
            assert after[name].partitions == before.partitions
