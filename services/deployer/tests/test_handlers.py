"""Rollouts from event to event."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployer.domain.policy import Policy
from deployer.domain.rollout import REMEMBERED, RefusedCommandError, Rollout, begin, look
from deployer.handlers import Deployer, policy_of
from deployer.settings import DeployerSettings
from event_schemas import EventBody, ModelApproved, RolloutCommand, RolloutStep
from event_schemas.base import TimeRange
from event_schemas.policy_rules import contradictions
from servicekit.clock import FakeClock
from servicekit.event import Event
from servicekit.loops.transactional import TransactionalLoop
from servicekit.memory import MemoryBus

Take = Callable[[EventBody], list[RolloutStep]]


@pytest.fixture
def deployer() -> Deployer:
    return Deployer()


def taker(deployer: Deployer) -> Take:
    handlers = deployer.processor.handlers

    def take(body: EventBody) -> list[RolloutStep]:
        event: Event[Any] = Event(body, "/test", datetime(2013, 4, 1, tzinfo=UTC))
        out: Iterable[EventBody] = handlers[type(body)](event)
        return [step for step in out if isinstance(step, RolloutStep)]

    return take


@pytest.fixture
def take(deployer: Deployer) -> Take:
    return taker(deployer)


def order(command: str) -> RolloutCommand:
    return RolloutCommand.model_validate(
        {"model": "flight_delay", "command": command, "commanded_by": "ada", "reason": "a drill"}
    )


@pytest.fixture
def canary(take: Take, approve: Any) -> RolloutStep:
    """The first step of version 2, after version 1 went into service."""
    take(approve("1"))
    (step,) = take(approve("2"))
    return step


def test_the_first_version_serves_at_once(take: Take, approve: Any) -> None:
    (step,) = take(approve("1"))
    assert (step.phase, step.outcome, step.champion.version) == ("stable", "promoted", "1")
    assert (step.challenger, step.weight, step.sequence) == (None, 0, 0)


def test_the_second_version_begins_as_a_canary(canary: RolloutStep) -> None:
    assert canary.challenger
    assert (canary.phase, canary.champion.version, canary.challenger.version) == (
        "canary",
        "1",
        "2",
    )
    assert (canary.weight, canary.sequence, canary.outcome) == (0.1, 1, "running")


def test_an_approval_that_comes_twice_changes_nothing(
    take: Take, approve: Any, canary: RolloutStep
) -> None:
    assert take(approve("2")) == []
    assert take(approve("1")) == []


def test_fault_2_2_a_version_is_rolled_out_once_whatever_is_told_again(
    take: Take, approve: Any, canary: RolloutStep, caplog: pytest.LogCaptureFixture
) -> None:
    take(order("rollback"))
    take(approve("3"))
    take(approve("4"))
    take(approve("5"))
    take(order("abort"))
    (promoted,) = take(order("promote"))
    assert promoted.champion.version == "5"
    caplog.set_level("INFO")
    for version in "12345":
        assert take(approve(version)) == [], "rolled back, replaced while it waited, or in service"
    assert "approval" in caplog.text
    assert "version 4 of flight_delay is ignored" in caplog.text
    (step,) = take(approve("6"))
    assert step.challenger
    assert step.challenger.version == "6"


def test_fault_2_2_a_version_that_a_person_went_back_from_is_not_rolled_out_again(
    take: Take, approve: Any, canary: RolloutStep
) -> None:
    take(order("promote"))
    take(order("rollback"))
    take(approve("3"))
    take(order("abort"))
    assert take(approve("2")) == []


def test_fault_2_2_a_state_of_before_names_the_versions_that_it_knows(
    deployer: Deployer, take: Take, approve: Any
) -> None:
    take(approve("1"))
    deployer.rollouts.load(
        "flight_delay",
        b'{"rollout_id":"r","sequence":9,"phase":"stable","champion":"1","challenger":null,'
        b'"weight":0.0,"shadow":0.0,"outcome":"rolled_back","previous":"2","waiting":null}',
    )
    assert take(approve("2")) == []
    (step,) = take(approve("3"))
    assert step.sequence == 10


def test_fault_2_2_what_is_remembered_is_bounded(approve: Any) -> None:
    decided = tuple(str(version) for version in range(REMEMBERED))
    current = Rollout("r", 9, "stable", "1", outcome="rolled_back", decided=decided)
    step = begin(current, "new", "r2", policy_of(approve("new").version))
    assert step
    assert step.rollout.decided == (*decided[1:], "new")


def test_a_healthy_challenger_goes_from_10_to_50_to_100_and_is_promoted(
    take: Take, measure: Any, canary: RolloutStep
) -> None:
    seen = [canary]
    for day, weight in enumerate((0.1, 0.5, 1.0)):
        for arm in ("champion", "challenger") if weight < 1 else ("challenger",):
            seen += take(
                measure(arm, rollout_id=canary.rollout_id, weight=weight, day=day, n=10_000)
            )
    assert [(s.phase, s.weight, s.outcome) for s in seen] == [
        ("canary", 0.1, "running"),
        ("canary", 0.5, "running"),
        ("probation", 1.0, "running"),
        ("stable", 0.0, "promoted"),
    ]
    assert [s.sequence for s in seen] == [1, 2, 3, 4]
    assert seen[-1].champion.version == "2"
    assert seen[-1].challenger is None
    assert "labels on probation" in seen[-1].reason
    assert seen[1].verdict
    assert seen[1].verdict.outcome == "healthy"
    assert seen[1].evidence
    assert seen[1].evidence.start.day == 1


def test_a_worse_challenger_is_rolled_back_with_the_evidence(
    take: Take, measure: Any, canary: RolloutStep
) -> None:
    assert take(measure("champion", rollout_id=canary.rollout_id, weight=0.1)) == []
    (step,) = take(measure("challenger", rollout_id=canary.rollout_id, weight=0.1, n=500, loss=1.5))
    assert (step.outcome, step.champion.version, step.weight) == ("rolled_back", "1", 0)
    assert step.verdict
    assert step.verdict.outcome == "unhealthy"
    assert step.verdict.metric == "log_loss"
    assert step.verdict.effect == pytest.approx(1.05)


def test_late_labels_roll_back_on_probation(take: Take, measure: Any, canary: RolloutStep) -> None:
    for weight in (0.1, 0.5):
        for arm in ("champion", "challenger"):
            take(measure(arm, rollout_id=canary.rollout_id, weight=weight, n=10_000))
    (step,) = take(
        measure("challenger", rollout_id=canary.rollout_id, weight=1.0, day=3, n=900, loss=1.5)
    )
    assert (step.outcome, step.champion.version) == ("rolled_back", "1")


def test_a_revision_replaces_what_the_window_said_before(
    take: Take, measure: Any, canary: RolloutStep
) -> None:
    take(measure("champion", rollout_id=canary.rollout_id, weight=0.1))
    few = {"rollout_id": canary.rollout_id, "weight": 0.1, "n": 150}
    assert take(measure("challenger", **few, loss=1.5)) == []
    assert take(measure("challenger", **few, loss=1.5, revision=1)) == [], "150 are still 150"


def test_the_evidence_of_another_rollout_does_not_count(
    take: Take, measure: Any, canary: RolloutStep
) -> None:
    take(measure("champion", rollout_id="another", weight=0.1))
    assert take(measure("challenger", rollout_id="another", weight=0.1, loss=3.0)) == []


def test_a_step_without_a_verdict_is_rolled_back_in_the_end(
    take: Take, measure: Any, canary: RolloutStep
) -> None:
    steps: list[RolloutStep] = []
    for day in range(32):
        steps += take(measure("champion", rollout_id=canary.rollout_id, weight=0.1, day=day, n=2))
    (step,) = steps
    assert step.outcome == "rolled_back"
    assert "no verdict within 30 days" in step.reason


def test_a_version_approved_meanwhile_waits_for_the_end(
    take: Take, approve: Any, measure: Any, canary: RolloutStep
) -> None:
    assert take(approve("3")) == []
    ended, begun = take(order("abort"))
    assert (ended.outcome, ended.challenger) == ("aborted", None)
    assert begun.challenger
    assert (begun.challenger.version, begun.weight) == ("3", 0.1)
    assert begun.sequence == ended.sequence + 1


def test_a_paused_rollout_collects_evidence_and_decides_when_resumed(
    take: Take, measure: Any, canary: RolloutStep
) -> None:
    (paused,) = take(order("pause"))
    assert (paused.phase, paused.weight) == ("paused", 0.1)
    for arm in ("champion", "challenger"):
        assert take(measure(arm, rollout_id=canary.rollout_id, weight=0.1, n=10_000)) == []
    (resumed,) = take(order("resume"))
    assert (resumed.phase, resumed.weight) == ("canary", 0.1)
    (step,) = take(measure("champion", rollout_id=canary.rollout_id, weight=0.1, day=1))
    assert step.weight == 0.5


def test_a_person_can_promote_and_go_back_to_the_version_before(
    take: Take, canary: RolloutStep
) -> None:
    (promoted,) = take(order("promote"))
    assert (promoted.champion.version, promoted.outcome) == ("2", "promoted")
    assert promoted.reason == "promote by ada: a drill"
    (back,) = take(order("rollback"))
    assert (back.champion.version, back.outcome) == ("1", "rolled_back")


@pytest.mark.parametrize("command", ["pause", "resume", "promote", "abort"])
def test_a_command_without_a_rollout_is_refused_with_a_remedy(
    take: Take, approve: Any, command: str
) -> None:
    take(approve("1"))
    with pytest.raises(RefusedCommandError, match=f"{command}: .*approve a version first"):
        take(order(command))


def test_a_policy_with_a_shadow_goes_from_shadow_to_the_first_step(
    take: Take, approve: Any, measure: Any
) -> None:
    take(approve("1"))
    approved = approve("2").model_dump()
    approved["version"]["policies"]["rollout"]["shadow_labelled"] = 300
    (begun,) = take(ModelApproved.model_validate(approved))
    assert begun.challenger
    assert (begun.weight, begun.shadow, begun.challenger.version) == (0.0, 1.0, "2")
    of_it = {"rollout_id": begun.rollout_id, "weight": 0.0}
    assert take(measure("champion", **of_it)) == []
    assert take(measure("challenger", **of_it, loss=9.0)) == [], "nobody is answered by it"
    (step,) = take(measure("shadow", **of_it, n=300))
    assert (step.weight, step.shadow, step.phase) == (0.1, 0.0, "canary")
    assert "300 labels in shadow" in step.reason


def test_a_command_for_an_unknown_model_is_refused(take: Take) -> None:
    with pytest.raises(RefusedCommandError, match="no version in service"):
        take(order("promote"))


@settings(max_examples=60)
@given(
    st.lists(
        st.one_of(
            st.sampled_from(["pause", "resume", "promote", "abort", "rollback"]),
            st.tuples(
                st.sampled_from(["champion", "challenger"]),
                st.sampled_from([0.1, 0.5, 1.0]),
                st.floats(0.2, 2.0),
                st.integers(1, 5000),
            ),
            st.integers(1, 6),
        ),
        max_size=25,
    )
)
def test_whatever_happens_there_is_one_champion_and_the_sequence_counts_up(
    approve: Any, measure: Any, script: list[Any]
) -> None:
    take = taker(Deployer())
    steps = take(approve("0"))
    for number, act in enumerate(script):
        try:
            if isinstance(act, str):
                steps += take(order(act))
            elif isinstance(act, int):
                steps += take(approve(str(act)))
            else:
                arm, weight, loss, n = act
                steps += take(
                    measure(
                        arm,
                        rollout_id=steps[-1].rollout_id,
                        weight=weight,
                        day=number,
                        loss=loss,
                        n=n,
                    )
                )
        except RefusedCommandError:
            continue
    assert [s.sequence for s in steps] == list(range(len(steps)))
    for step in steps:
        assert (step.challenger is None) == (step.weight == 0) == (step.phase == "stable")
        assert (step.outcome == "running") == (step.challenger is not None)


def test_fault_3_5_a_canary_of_which_nothing_is_measured_times_out_by_wall_time(
    deployer: Deployer, approve: Any, measure: Any
) -> None:
    clock = FakeClock(datetime(2026, 1, 1, tzinfo=UTC))
    bus = MemoryBus(clock)
    loop = TransactionalLoop(deployer.processor, bus, clock=clock)
    loop.open()

    def after(days: float) -> list[RolloutStep]:
        clock.advance(timedelta(days=days))
        while loop.step():
            pass
        return [event.body for event in bus.events(RolloutStep)]

    bus.publish(approve("1"))
    bus.publish(approve("2"))
    (_, canary) = after(0)
    after(1)  # the look that finds it silent
    assert len(after(29)) == 2
    bus.publish(measure("champion", rollout_id=canary.rollout_id, weight=0.1, n=5))
    after(0.1)
    after(0.1)
    assert len(after(29)) == 2, "a measurement ends the silence"
    bus.publish(approve("3"))
    after(0)
    ended, begun = after(2)[2:]
    assert (ended.outcome, ended.challenger) == ("rolled_back", None)
    assert ended.reason == "nothing was measured for 30 days, 0:00:00 of wall time at 10%"
    assert begun.challenger
    assert begun.challenger.version == "3"
    assert not bus.messages("deployer.dead")
    bus.publish(order("pause"))
    after(1)
    assert len(after(100)) == 5, "a person holds it"
    loop.close()


def test_fault_3_5_a_state_of_before_is_silent_from_the_first_look() -> None:
    rollout = Rollout("r", 1, "canary", "1", challenger="2", weight=0.1)
    policy = Policy((0.1, 1.0), 0, 1.0, 0.05, 0.05, 0.01, 200, timedelta(days=2), 0, 0.15)
    now = datetime(2026, 1, 1, tzinfo=UTC)
    looked, end = look(rollout, now, policy)
    assert (looked.silent_since, end) == (now, None)
    assert look(looked, now + timedelta(days=2), policy) == (looked, None)
    _, end = look(looked, now + timedelta(days=2, microseconds=1), policy)
    assert end
    assert end.rollout.outcome == "rolled_back"


@given(st.lists(st.floats(0, 1), max_size=4).map(tuple))
def test_fault_3_8_the_policies_that_may_be_written_are_those_that_can_be_rolled_out(
    approve: Any, steps: tuple[float, ...]
) -> None:
    version = approve("1").version
    rollout = version.policies.rollout.model_copy(update={"steps": steps})
    policies = version.policies.model_copy(update={"rollout": rollout})
    version = version.model_copy(update={"policies": policies})
    if list(contradictions(policies)):
        with pytest.raises(ValueError, match=r"rollout\.steps"):
            policy_of(version)
    else:
        policy_of(version)


def test_fault_3_3_no_value_of_the_state_grows_with_the_rollout(
    deployer: Deployer, take: Take, measure: Any, canary: RolloutStep
) -> None:
    first, minute = datetime(2013, 4, 1, tzinfo=UTC), timedelta(minutes=1)
    for number in range(601):
        window = TimeRange(start=first + number * minute, end=first + (number + 1) * minute)
        for arm in ("champion", "challenger"):
            body = measure(arm, rollout_id=canary.rollout_id, weight=0.1, n=1)
            take(body.model_copy(update={"window": window}))
    sizes = [len(value or b"") for t in deployer.processor.tables for _, value in t.changes()]
    assert len(sizes) > 1200
    assert max(sizes) < 4000, "the largest is a version"
    take(order("abort"))
    assert [key for key, _ in deployer.measured.items()] == [], "and it goes with the rollout"


def test_fault_3_3_evidence_as_earlier_releases_kept_it_counts_on(
    deployer: Deployer, take: Take, measure: Any, canary: RolloutStep
) -> None:
    take(measure("champion", rollout_id=canary.rollout_id, weight=0.1, n=50_000))
    take(measure("challenger", rollout_id=canary.rollout_id, weight=0.1, n=199))
    kept = {key.partition("/")[2]: each for key, each in deployer.measured.items()}
    for key in [key for key, _ in deployer.measured.items()]:
        deployer.measured.delete(key)
    deployer.evidence.put("flight_delay", kept)
    later = measure("challenger", rollout_id=canary.rollout_id, weight=0.1, day=1, n=50_000)
    (step,) = take(later)
    assert step.verdict
    assert step.verdict.n_challenger == 50_199
    assert deployer.evidence.get("flight_delay") is None


def test_fault_3_4_a_second_slot_would_own_nothing_so_it_is_refused() -> None:
    with pytest.raises(ValueError, match="less than or equal to 1"):
        DeployerSettings(replica_slots=2)
