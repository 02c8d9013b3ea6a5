"""What a version must show."""

import math

import numpy as np
import pytest

from trainer.domain import gates
from trainer.domain.gates import GateRules

RULES = GateRules(max_regression=0.01, min_rows=4, parity_tolerance=1e-5)


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
    losses = np.full(4, 0.5)
    gate = gates.loss("log_loss", losses, losses, "version 1", GateRules())
    assert (gate.name, gate.verdict, gate.value) == ("log_loss", "passed", 0.0)


def test_the_tolerated_regression_is_the_edge():
    rival = np.full(4, 0.5)
    assert gates.loss("log_loss", rival + 0.0099, rival, "version 1", RULES).verdict == "passed"
    gate = gates.loss("log_loss", rival + 0.0101, rival, "version 1", RULES)
    assert gate.verdict == "failed"
    assert "version 1: +0.0101 [+0.0101, +0.0101] on 4 rows, at most +0.01 asked" in gate.reason


@pytest.mark.parametrize(("more", "verdict"), [(4.99, "passed"), (5.01, "failed")])
def test_a_share_is_one_of_the_rivals_mean_loss(more: float, verdict: str):
    rival = np.array([400.0, 600.0])
    rules = GateRules(max_regression=0.01, margin_unit="share")
    gate = gates.loss("squared_error", rival + more, rival, "version 1", rules)
    assert (gate.verdict, gate.threshold) == (verdict, pytest.approx(5.0))


def test_a_champion_that_could_not_be_scored_is_no_pass():
    gate = gates.loss("log_loss", np.full(4, 0.5), None, "version 1", RULES)
    assert gate.verdict == "not_measured"


def beats(losses, constant, moments=None):
    return gates.beats_constant("base_rate", losses, constant, "the base rate", moments)


def test_fault_4_8_each_version_has_to_beat_the_best_constant():
    constant = np.full(4, 0.7)
    gate = beats(constant, constant)
    assert (gate.name, gate.threshold, gate.verdict) == ("base_rate", 0.0, "failed")
    assert beats(constant - 0.1, constant).verdict == "passed"
    assert beats(constant + 0.1, constant).verdict == "failed"


def days(count: int, rows: int) -> np.ndarray:
    return np.repeat(np.arange(count) * 86_400_000_000, rows)


def test_fault_4_8_a_later_version_that_is_worse_than_a_constant_day_by_day_is_refused():
    constant = np.full(1400, 0.69)
    gate = beats(constant + 0.1, constant, days(7, 200))  # a little wrong on every day
    assert (gate.verdict, gate.threshold) == ("failed", pytest.approx(0.0, abs=1e-9))


def test_days_that_differ_more_than_versions_refuse_no_later_version():
    rng = np.random.default_rng(1)
    rates = np.repeat([0.1, 0.2, 0.15, 0.7, 0.1, 0.3, 0.65], 200)  # two freak days
    late = rng.random(1400) < rates
    losses, constant = (-np.log(np.where(late, p, 1 - p)) for p in (0.2, 0.25))
    asked = beats(losses, constant, days(7, 200))
    assert asked.value is not None
    assert 0 < asked.value < (asked.threshold or 0)
    assert asked.verdict == "passed"
    assert "what the days' differences explain" in asked.reason
    assert beats(losses, constant).verdict == "failed", "as a first version"


def test_too_few_days_tell_nothing_so_the_mean_decides():
    constant = np.full(600, 0.69)
    gate = beats(constant + 0.1, constant, days(3, 200))
    assert (gate.threshold, gate.verdict) == (0.0, "failed")


def test_no_gates_are_no_pass():
    assert not gates.all_passed([])
