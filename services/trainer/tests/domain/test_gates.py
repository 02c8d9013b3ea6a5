"""What a version must show."""

import math

import numpy as np
import pytest

from trainer.domain import gates
from trainer.domain.gates import GateRules

RULES = GateRules(max_regression=0.01, min_rows=4, parity_tolerance=1e-5)
LABELS = np.array([1.0, 0.0, 1.0, 0.0])


def test_parity_passes_up_to_its_tolerance():
    assert gates.parity(1e-5, 100, RULES).verdict == "passed"
    gate = gates.parity(1.1e-5, 100, RULES)
    assert gate.verdict == "failed"
    assert (
        gate.reason == "artifact and scikit-learn differ by 1.1e-05, more than 1e-05, on 100 rows"
    )


@pytest.mark.parametrize(("difference", "rows"), [(math.nan, 10), (0.0, 0)])
def test_parity_that_was_not_measured_is_no_pass(difference, rows):
    gate = gates.parity(difference, rows, RULES)
    assert gate.verdict == "not_measured"
    assert not gates.all_passed([gate])


def test_enough_rows_are_those_that_were_asked_for():
    assert gates.min_rows(4, RULES).verdict == "passed"
    assert gates.min_rows(3, RULES).verdict == "failed"


def test_a_version_as_good_as_the_champion_passes():
    scores = np.full(4, 0.5)
    gate = gates.log_loss(LABELS, scores, scores, "version 1", GateRules())
    assert (gate.verdict, gate.value) == ("passed", 0.0)


def test_the_tolerated_regression_is_the_edge():
    rival = np.full(4, 0.5)
    loss = math.log(2) + 0.0099
    better = np.where(LABELS == 1, math.exp(-loss), 1 - math.exp(-loss))
    assert gates.log_loss(LABELS, better, rival, "version 1", RULES).verdict == "passed"
    loss += 0.0002
    worse = np.where(LABELS == 1, math.exp(-loss), 1 - math.exp(-loss))
    gate = gates.log_loss(LABELS, worse, rival, "version 1", RULES)
    assert gate.verdict == "failed"
    assert "version 1: +0.0101 [+0.0101, +0.0101] on 4 rows, at most +0.0100 asked" in gate.reason


def test_a_champion_that_could_not_be_scored_is_no_pass():
    gate = gates.log_loss(LABELS, np.full(4, 0.5), None, "version 1", RULES)
    assert gate.verdict == "not_measured"


def test_fault_4_8_each_version_has_to_beat_the_base_rate():
    gate = gates.beats_base_rate(LABELS, np.full(4, 0.5), 0.5)
    assert (gate.name, gate.threshold) == ("base_rate", 0.0), "beside the champion's log_loss"
    assert gates.beats_base_rate(LABELS, np.full(4, 0.5), 0.5).verdict == "failed"
    assert gates.beats_base_rate(LABELS, LABELS * 0.2 + 0.4, 0.5).verdict == "passed"
    assert gates.beats_base_rate(LABELS, 0.6 - LABELS * 0.2, 0.5).verdict == "failed"


def days(count: int, rows: int) -> np.ndarray:
    return np.repeat(np.arange(count) * 86_400_000_000, rows)


def test_fault_4_8_a_later_version_that_is_worse_than_a_constant_day_by_day_is_refused():
    labels = np.tile([0.0, 1.0], 700)
    scores = 0.55 - labels * 0.1  # a little wrong on every day
    gate = gates.beats_base_rate(labels, scores, 0.5, days(7, 200))
    assert (gate.verdict, gate.threshold) == ("failed", pytest.approx(0.0, abs=1e-9))


def test_days_that_differ_more_than_versions_refuse_no_later_version():
    rng = np.random.default_rng(1)
    rates = np.repeat([0.1, 0.2, 0.15, 0.7, 0.1, 0.3, 0.65], 200)  # two freak days
    labels = (rng.random(1400) < rates).astype(float)
    scores = np.full(1400, 0.2)
    asked = gates.beats_base_rate(labels, scores, 0.25, days(7, 200))
    assert asked.value is not None
    assert 0 < asked.value < (asked.threshold or 0)
    assert asked.verdict == "passed"
    assert "what the days' differences explain" in asked.reason
    assert gates.beats_base_rate(labels, scores, 0.25).verdict == "failed", "as a first version"


def test_too_few_days_tell_nothing_so_the_mean_decides():
    labels = np.tile([0.0, 1.0], 300)
    scores = 0.55 - labels * 0.1
    gate = gates.beats_base_rate(labels, scores, 0.5, days(3, 200))
    assert (gate.threshold, gate.verdict) == (0.0, "failed")


def test_no_gates_are_no_pass():
    assert not gates.all_passed([])
