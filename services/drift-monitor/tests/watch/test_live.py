"""Rates, mean scores and the live drift score."""

import pytest

from drift_monitor.watch.live import FORGOTTEN_SECONDS, Live


@pytest.fixture
def live():
    return Live(scores=100, baseline=100)


def saw(live, score, times=1, *, version="1", arm="champion", weight=0.0, **changes):
    for _ in range(times):
        live.add("m", version, arm, weight=weight, score=score, **changes)


def test_a_rate_is_predictions_a_second_over_the_last_samples(live):
    for second in range(1, 11):
        saw(live, 0.5, times=40 if second <= 5 else 20)
        sample = live.sample(float(second))
        if second == 5:
            assert sample.arms[0].rate == pytest.approx(40.0)
    assert sample.arms[0].rate == pytest.approx(20.0)


def test_arms_are_told_apart(live):
    saw(live, 0.2, arm="champion", weight=0.5)
    saw(live, 0.8, version="2", arm="challenger", weight=0.5)
    arms = {(a.version, a.arm): a.mean_score for a in live.sample(1.0).arms}
    assert arms == {("1", "champion"): 0.2, ("2", "challenger"): 0.8}


def test_the_mean_is_over_the_newest_scores(live):
    saw(live, 0.0, times=500)
    saw(live, 1.0, times=50)
    assert live.sample(1.0).arms[0].mean_score == pytest.approx(0.5)


def test_a_failed_prediction_counts_and_has_no_score(live):
    saw(live, None, times=10)
    [arm] = live.sample(1.0).arms
    assert (arm.rate, arm.mean_score) == (10.0, None)


def test_a_sampled_prediction_stands_for_several(live):
    saw(live, 0.5, times=10, stands_for=10.0)
    assert live.sample(1.0).arms[0].rate == pytest.approx(100.0)


def test_the_drift_score_compares_the_newest_scores_with_the_first(live):
    saw(live, 0.1, times=100)
    saw(live, 0.1, times=49)
    assert live.sample(1.0).drift == ()
    saw(live, 0.1)
    assert live.sample(2.0).drift[0].score == 0.0
    saw(live, 0.9, times=100)
    assert live.sample(3.0).drift[0].score == pytest.approx(0.8326, abs=1e-4)


def test_the_drift_score_is_that_of_the_version_in_force(live):
    saw(live, 0.1, times=200)
    saw(live, 0.1, times=100, version="2", arm="challenger", weight=0.5)
    saw(live, 0.9, times=100, version="2", arm="challenger", weight=0.5)
    assert [(d.version, d.score) for d in live.sample(1.0).drift] == [("1", 0.0)]
    saw(live, 0.9, version="2", arm="challenger", weight=1.0)
    assert [d.version for d in live.sample(2.0).drift] == ["2"]


def test_an_arm_that_is_long_silent_is_forgotten(live):
    saw(live, 0.5)
    live.sample(1.0)
    assert len(live.sample(FORGOTTEN_SECONDS + 1.0).arms) == 1
    sample = live.sample(FORGOTTEN_SECONDS + 2.0)
    assert sample.arms == ()
    assert sample.forgotten == (("m", "1", "champion"),)
