"""A rollout that begins in shadow, by its policy."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.domain.confidence import Sample
from deployer.domain.evidence import Arm, Measurement
from deployer.domain.policy import Policy
from deployer.domain.rollout import Rollout, Step, advance, begin, command
from deployer.domain.verdict import ArmEvidence

START = datetime(2013, 4, 1, tzinfo=UTC)
POLICY = Policy(
    steps=(0.1, 0.5, 1.0),
    shadow_labelled=1000,
    shadow_share=0.5,
    alpha=0.05,
    loss_margin=0.05,
    error_margin=0.01,
    min_labelled=200,
    max_step=timedelta(days=30),
    probation_labelled=1000,
    probation_margin=0.15,
)
SERVING = Rollout("r0", 4, "stable", "1", outcome="promoted")


def measured(
    arm: Arm, n: int, loss: float = 0.45, *, weight: float = 0.0, day: int = 0, errors: int = 0
) -> Measurement:
    evidence = ArmEvidence(n, errors, Sample(n, n * loss, n * (loss**2 + 0.25)))
    start = START + timedelta(days=day)
    return Measurement(arm, weight, start, start + timedelta(days=1), 0, evidence)


@pytest.fixture
def shadow() -> Rollout:
    step = begin(SERVING, "2", "r1", POLICY)
    assert step
    return step.rollout


def taken(step: Step | None) -> Step:
    assert step
    return step


def test_without_the_policy_there_is_no_shadow() -> None:
    step = taken(begin(SERVING, "2", "r1", replace(POLICY, shadow_labelled=0)))
    assert (step.rollout.weight, step.rollout.shadow) == (0.1, 0.0)


def test_the_champion_goes_on_alone_while_the_challenger_is_in_shadow() -> None:
    step = taken(begin(SERVING, "2", "r1", POLICY))
    rollout = step.rollout
    assert (rollout.weight, rollout.shadow, rollout.phase) == (0.0, 0.5, "canary")
    assert (rollout.champion, rollout.challenger, rollout.sequence) == ("1", "2", 5)
    assert step.reason == "version 2 was approved: in shadow of 50% until 1000 labels"


def test_enough_labels_without_harm_lead_to_the_first_step(shadow: Rollout) -> None:
    evidence = [measured("champion", 5000), measured("shadow", 999)]
    assert advance(shadow, evidence, POLICY) is None
    step = taken(advance(shadow, [measured("champion", 5000), measured("shadow", 1000)], POLICY))
    assert (step.rollout.weight, step.rollout.shadow, step.rollout.phase) == (0.1, 0.0, "canary")
    assert step.rollout.sequence == shadow.sequence + 1
    assert step.reason.startswith("1000 labels in shadow without harm: log_loss +0.0000")
    assert step.verdict
    assert (step.verdict.n_champion, step.verdict.n_challenger) == (5000, 1000)


def test_a_harmful_challenger_is_rolled_back_before_anyone_saw_it(shadow: Rollout) -> None:
    evidence = [measured("champion", 5000), measured("shadow", 300, loss=1.5)]
    step = taken(advance(shadow, evidence, POLICY))
    assert (step.rollout.outcome, step.rollout.champion) == ("rolled_back", "1")
    assert (step.rollout.challenger, step.rollout.shadow) == (None, 0.0)
    assert step.reason.startswith("unhealthy in shadow")


def test_a_challenger_that_fails_in_shadow_is_rolled_back(shadow: Rollout) -> None:
    evidence = [measured("champion", 5000), measured("shadow", 5000, errors=500)]
    assert taken(advance(shadow, evidence, POLICY)).rollout.outcome == "rolled_back"


def test_a_shadow_that_nobody_measures_ends_in_time(shadow: Rollout) -> None:
    days = [measured("champion", 100, day=day) for day in range(32)]
    assert advance(shadow, days[:30], POLICY) is None
    step = taken(advance(shadow, days, POLICY))
    assert step.rollout.outcome == "rolled_back"
    assert step.reason.startswith("no verdict within 30 days, 0:00:00 in shadow")


def test_fewer_labels_than_a_verdict_needs_do_not_end_it(shadow: Rollout) -> None:
    policy = replace(POLICY, shadow_labelled=1)
    evidence = [measured("champion", 5000), measured("shadow", 199)]
    assert advance(shadow, evidence, policy) is None
    assert advance(shadow, [*evidence, measured("shadow", 1, day=1)], policy)


def test_a_pause_keeps_the_shadow_and_so_does_its_end(shadow: Rollout) -> None:
    paused = command(shadow, "pause", "ada", "a drill").rollout
    evidence = [measured("champion", 5000), measured("shadow", 1000)]
    assert (paused.phase, paused.weight, paused.shadow) == ("paused", 0.0, 0.5)
    assert advance(paused, evidence, POLICY) is None
    resumed = command(paused, "resume", "ada", "go on").rollout
    assert (resumed.phase, resumed.weight, resumed.shadow) == ("canary", 0.0, 0.5)
    assert taken(advance(resumed, evidence, POLICY)).rollout.weight == 0.1


@given(st.integers(0, 100_000), st.floats(0.01, 20.0), st.sampled_from([0.0, 0.1, 0.5]))
def test_a_shadow_says_nothing_in_a_canary(n: int, loss: float, weight: float) -> None:
    rollout = replace(SERVING, challenger="2", weight=weight or 0.1, phase="canary")
    evidence = [
        measured("champion", 5000, weight=rollout.weight),
        measured("challenger", 300, weight=rollout.weight),
    ]
    shadows = [measured("shadow", n, loss, weight=w) for w in (0.0, rollout.weight)]
    assert advance(rollout, [*evidence, *shadows], POLICY) == advance(rollout, evidence, POLICY)
