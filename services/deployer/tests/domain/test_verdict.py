"""Healthy, unhealthy, or not enough evidence."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deployer.domain.confidence import Sample
from deployer.domain.verdict import ArmEvidence, Outcome, judge


def arm(n: int, loss: float, errors: int = 0) -> ArmEvidence:
    return ArmEvidence(n, errors, Sample(n, n * loss, n * (loss**2 + 0.25)))


def verdict(champion: ArmEvidence, challenger: ArmEvidence) -> Outcome:
    return judge(
        champion, challenger, loss_margin=0.05, error_margin=0.01, min_labelled=200, alpha=0.05
    ).outcome


def test_no_data_is_never_a_pass() -> None:
    assert verdict(ArmEvidence(), ArmEvidence()) is Outcome.NOT_ENOUGH_EVIDENCE
    assert verdict(arm(10_000, 0.45), ArmEvidence()) is Outcome.NOT_ENOUGH_EVIDENCE


def test_one_label_too_few_gives_no_verdict() -> None:
    assert verdict(arm(10_000, 0.4), arm(199, 5.0)) is Outcome.NOT_ENOUGH_EVIDENCE
    assert verdict(arm(10_000, 0.4), arm(200, 5.0)) is Outcome.UNHEALTHY


def test_a_challenger_as_good_as_the_champion_is_healthy_once_it_is_measured_well() -> None:
    assert verdict(arm(20_000, 0.45), arm(300, 0.45)) is Outcome.NOT_ENOUGH_EVIDENCE
    assert verdict(arm(20_000, 0.45), arm(10_000, 0.45)) is Outcome.HEALTHY


def test_a_challenger_that_loses_more_than_the_margin_is_unhealthy() -> None:
    assert verdict(arm(20_000, 0.45), arm(5_000, 0.65)) is Outcome.UNHEALTHY


def test_a_challenger_that_fails_requests_is_unhealthy_even_with_the_better_loss() -> None:
    assert verdict(arm(20_000, 0.45), arm(5_000, 0.30, errors=500)) is Outcome.UNHEALTHY


def test_failures_without_any_label_are_enough_to_condemn() -> None:
    broken = ArmEvidence(n=2000, errors=2000)
    assert verdict(arm(20_000, 0.45), broken) is Outcome.UNHEALTHY


@given(
    st.floats(0.001, 1000),
    st.floats(0.5, 1.5),
    st.integers(200, 50_000),
    st.integers(200, 50_000),
)
def test_a_margin_that_is_a_share_is_the_same_in_any_unit(unit, ratio, n, m) -> None:
    def scaled(count: int, loss: float) -> ArmEvidence:
        return ArmEvidence(count, 0, arm(count, loss).loss.times(unit))

    how = {"loss_margin": 0.1, "error_margin": 0.01, "min_labelled": 200, "alpha": 0.05}
    here = judge(arm(n, 1.0), arm(m, ratio), **how, margin_is_share=True)
    there = judge(scaled(n, 1.0), scaled(m, ratio), **how, loss="pinball", margin_is_share=True)
    assert there.outcome is here.outcome
    assert there.margin == pytest.approx(unit * here.margin) or there.metric == "errors"
    if ratio > 1.1:
        assert here.outcome is not Outcome.HEALTHY
    else:
        assert here.outcome is not Outcome.UNHEALTHY


def test_a_share_of_the_champions_loss_is_a_margin() -> None:
    how = {"error_margin": 0.01, "min_labelled": 200, "alpha": 0.05, "loss": "absolute_error"}
    minutes = (arm(50_000, 12.0), arm(50_000, 12.9))
    share = judge(*minutes, loss_margin=0.1, margin_is_share=True, **how)
    assert (share.metric, share.outcome) == ("absolute_error", Outcome.HEALTHY)
    assert share.margin == pytest.approx(1.2)
    assert share.effect.estimate == pytest.approx(0.9)
    assert judge(*minutes, loss_margin=0.1, **how).outcome is Outcome.UNHEALTHY


@given(
    st.integers(0, 20_000),
    st.integers(0, 20_000),
    st.floats(0, 3),
    st.floats(0, 3),
    st.integers(0, 200),
)
def test_every_evidence_gets_exactly_one_of_three_verdicts(
    n: int, m: int, a: float, b: float, errors: int
) -> None:
    result = judge(
        arm(n, a),
        arm(m, b, min(errors, m)),
        loss_margin=0.05,
        error_margin=0.01,
        min_labelled=200,
        alpha=0.05,
    )
    if result.outcome is Outcome.HEALTHY:
        assert min(result.n_champion, result.n_challenger) >= 200
        assert result.effect.high <= result.margin
    if result.outcome is Outcome.UNHEALTHY:
        assert result.effect.low > result.margin
