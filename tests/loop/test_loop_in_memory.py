"""The loop closes: five services over one bus in memory, from records to a promoted version."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from event_schemas import (
    ArmMeasured,
    DataArrived,
    DriftDetected,
    ModelTrained,
    RetrainDecided,
    RetrainRequested,
    RolloutStep,
)
from event_schemas.catalog import ROUTES, SERVICES
from servicekit.bus import Record

FLIP_TO_END = 8
"""Days from the change of the world to the end of the rollout that answers it."""


def versions(answers: list[dict[str, Any]]) -> Counter[str]:
    return Counter(answer["version"] for answer in answers)


def path(loop: Any) -> list[tuple[int, str, str, float, str, str | None]]:
    """Where the rollout went."""
    return [
        (
            s.sequence,
            s.phase,
            s.champion.version,
            s.weight,
            s.outcome,
            s.challenger and s.challenger.version,
        )
        for s in loop.rollout()
    ]


FIRST = (0, "stable", "1", 0.0, "promoted", None)
WHOLE = [
    FIRST,
    (1, "canary", "1", 0.1, "running", "2"),
    (2, "canary", "1", 0.5, "running", "2"),
    (3, "probation", "1", 1.0, "running", "2"),
    (4, "stable", "2", 0.0, "promoted", None),
]


@pytest.fixture(scope="module")
def story(new_loop: Callable[[], Any]) -> Any:
    """Records, a first version, two good days, a changed world, and a second version."""
    loop = new_loop()
    loop.begin()
    loop.live(2)
    loop.changed = True
    loop.live(FLIP_TO_END)
    return loop


def test_records_lead_to_a_first_version_that_answers(loop: Any) -> None:
    loop.begin()
    (step,) = loop.events(RolloutStep)
    chain = loop.causes(step)
    assert [event.body.type for event in chain] == [
        "rollout.step",
        "model.approved",
        "retrain.decided",
        "retrain.requested",
        "data.arrived",
    ]
    assert {event.turn for event in chain} == {chain[-1].id}
    assert chain[2].body.decision == "accepted"
    assert path(loop) == [FIRST]
    assert loop.known.aliases["champion"] == "1"
    answer = loop.ask(1)
    assert (answer["version"], answer["arm"], answer["prediction"]) == ("1", "champion", 1)


def test_a_calm_world_changes_nothing(loop: Any) -> None:
    loop.begin()
    answers = loop.live(4)
    assert versions(answers) == {"1": loop.trips}
    assert loop.events(DriftDetected) == []
    assert path(loop) == [FIRST]
    assert all(event.body.label_maturity == 1 for event in loop.events(ArmMeasured))
    assert len(loop.events(ArmMeasured)) == 3


def test_a_changed_world_is_answered_by_a_second_version(story: Any) -> None:
    assert path(story) == WHOLE
    assert story.known.aliases["champion"] == "2"
    answer = story.ask(1)
    assert (answer["version"], answer["arm"], answer["prediction"]) == ("2", "champion", 0)


def test_the_change_is_seen_in_the_loss_of_the_version_in_force(story: Any) -> None:
    (drift,) = story.events(DriftDetected)
    assert (drift.body.kind, drift.body.version) == ("performance", "1")
    days = {e.body.window.end: e.body for e in story.events(ArmMeasured)}
    calm, changed = days[drift.body.window.start], days[drift.body.window.end]
    assert calm.loss.total / calm.loss.n < 0.4 < 2 < changed.loss.total / changed.loss.n


def test_each_weight_of_the_canary_is_what_the_arms_got(story: Any) -> None:
    shares: dict[float, list[int]] = {}
    for event in story.events(ArmMeasured):
        body = event.body
        if body.rollout_id == story.rollout()[1].rollout_id:
            counts = shares.setdefault(body.weight, [0, 0])
            counts[0] += body.n * (body.arm == "challenger")
            counts[1] += body.n
    assert shares.keys() == {0.1, 0.5, 1.0}
    for weight, (challenger, both) in shares.items():
        assert challenger / both == pytest.approx(weight, abs=0.1)


def test_the_canary_can_be_followed_back_to_the_drift_and_its_cause(story: Any) -> None:
    chain = story.causes(story.events(RolloutStep)[1])
    assert [event.body.type for event in chain] == [
        "rollout.step",
        "model.approved",
        "retrain.decided",
        "retrain.requested",
        "drift.detected",
        "prediction.logged",
    ]
    assert {event.turn for event in chain} == {chain[-1].id}
    assert chain[3].body.evidence == (chain[4].id,)
    assert chain[3].body.cause == "performance"


def test_every_later_step_is_caused_by_a_measurement_of_the_same_rollout(story: Any) -> None:
    _, first, *later = story.events(RolloutStep)
    assert len(later) == 3
    for step in later:
        chain = story.causes(step)
        assert [e.body.type for e in chain] == ["rollout.step", "arm.measured", "prediction.logged"]
        assert chain[1].body.rollout_id == step.body.rollout_id == first.body.rollout_id
        assert step.body.verdict.outcome == "healthy"
    # The rollout's id names the approval that began it, and so the drift that it answers.
    assert first.body.rollout_id.endswith(first.causation_id[:8])


def test_nothing_is_decided_twice(story: Any) -> None:
    decisions = [(e.body.cause, e.body.decision) for e in story.events(RetrainDecided)]
    assert decisions.count(("performance", "accepted")) == 1
    assert decisions.count(("volume", "accepted")) == 1
    assert len(story.events(ModelTrained)) == 2
    requests = {e.id for e in story.events(RetrainRequested)}
    assert len(requests) == len(story.events(RetrainRequested)) == len(decisions)


def test_no_service_left_a_dead_letter(story: Any) -> None:
    assert [s for s in SERVICES if story.dead_letters(s)] == []
    assert story.follower.failures == {}


def test_a_broken_challenger_that_a_person_approved_is_rolled_back(loop: Any) -> None:
    loop.begin()
    loop.live(1)
    loop.approve_by_hand(weight=-6.0, bias=3.0)
    loop.turn()
    canary = loop.live(1)
    assert set(versions(canary)) == {"1", "2"}
    answers = loop.live(3)
    assert path(loop) == [
        FIRST,
        (1, "canary", "1", 0.1, "running", "2"),
        (2, "stable", "1", 0.0, "rolled_back", None),
    ]
    end = loop.rollout()[-1]
    assert (end.verdict.metric, end.verdict.outcome) == ("log_loss", "unhealthy")
    assert versions(answers) == {"1": loop.trips}
    assert loop.known.aliases["champion"] == "1"
    assert loop.events(DriftDetected) == []


def test_bad_messages_end_in_dead_letters_and_the_loop_goes_on(loop: Any) -> None:
    unknown = (("ce_id", b"1"), ("ce_type", b"tea.served"), ("ce_source", b"/test"))
    for topic in ROUTES:
        loop.bus.append(Record(topic, b"poison", b"\xff\x00 no event"))
        loop.bus.append(Record(topic, b"poison", b"{}", unknown))
    loop.begin()
    for service in SERVICES.keys() - {"predictor"}:
        letters = [dict(m.headers) for m in loop.dead_letters(service)]
        read = {topic for topic, route in ROUTES.items() if service in route.receivers}
        for error in (b"UndecodableError", b"UnknownEventError"):
            of_error = {h["dead_topic"].decode() for h in letters if h["dead_error"] == error}
            assert of_error == read, (service, error)
    # The predictor follows a compacted topic and keeps no offsets: it says so on its pages.
    assert "'poison'" in loop.follower.failures, "a key that names no model, as text"
    assert loop.ask(1)["version"] == "1"


def test_a_restart_of_every_service_changes_neither_the_way_nor_the_end(
    new_loop: Callable[[], Any], story: Any
) -> None:
    loop = new_loop()
    loop.begin()
    loop.live(2)
    loop.changed = True
    for _ in range(FLIP_TO_END):
        loop.day()
        for _ in range(2):  # in the middle of the turn, and again
            loop.once()
            loop.start()
        loop.turn()
    assert path(loop) == WHOLE
    # Ids are derived from causes, so the two runs tell one story. Ingest tells its newest commit
    # again at each start, under the id that it had.
    for kind in (
        DataArrived,
        RetrainDecided,
        ModelTrained,
        RolloutStep,
        ArmMeasured,
        DriftDetected,
    ):
        here, there = ([event.id for event in run.events(kind)] for run in (loop, story))
        assert (list(dict.fromkeys(here)) if kind is DataArrived else here) == there, kind
    assert versions(loop.day()) == {"2": loop.trips}
