"""Measures, against other ways to compute them."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_schemas.task import BINARY, Loss, Target
from trainer.domain import measures


def naive_auc(labels, scores):
    wins = [
        1.0 if p > n else 0.5 if p == n else 0.0
        for p in scores[labels == 1]
        for n in scores[labels == 0]
    ]
    return sum(wins) / len(wins)


rows = st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=2, max_size=40)


@given(rows)
def test_auc_is_the_share_of_pairs_in_the_right_order(pairs):
    labels = np.array([float(p) for p, _ in pairs])
    scores = np.array([s / 8 for _, s in pairs])
    measure = measures.roc_auc(labels, scores)
    if labels.min() == labels.max():
        assert math.isnan(measure.value)
    else:
        assert measure.value == pytest.approx(naive_auc(labels, scores))


def test_delongs_interval_holds_the_true_auc_in_95_of_100_samples():
    # Two normals one deviation apart: the true area is Phi(1 / sqrt 2) = 0.7602.
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(400):
        labels = (rng.random(200) < 0.3).astype(float)
        measure = measures.roc_auc(labels, rng.normal(size=200) + labels)
        held += measure.low <= 0.7602499389065233 <= measure.high
    assert 0.92 <= held / 400 <= 0.98


def test_the_interval_of_a_mean_is_two_standard_errors_wide_on_each_side():
    values = np.array([1.0, 2.0, 3.0, 4.0])
    measure = measures.mean("x", values)
    half = 1.959964 * np.std(values, ddof=1) / 2
    assert (measure.low, measure.high) == pytest.approx((2.5 - half, 2.5 + half))


def test_wilsons_interval_matches_a_published_example():
    # Newcombe, Statistics in Medicine 17 (1998), table I: 81 of 263.
    measure = measures.share("base_rate", 81, 263)
    assert (measure.low, measure.high) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_wilsons_interval_stays_inside_0_and_1_at_the_ends():
    assert measures.share("x", 0, 10).low == pytest.approx(0.0)
    assert measures.share("x", 10, 10).high == pytest.approx(1.0)


COSTS = Loss(name="cost", costs=((0, 1, 1), (1, 0, 1), (9, 9, 0)))
TARGETS = [
    BINARY,
    Target("binary", ("no", "yes"), Loss(name="cost", costs=((0, 1), (5, 0)))),
    Target("multiclass", ("a", "b", "c")),
    Target("multiclass", ("a", "b", "c"), COSTS),
    Target("regression", (), Loss(name="squared_error")),
    Target("regression", (), Loss(name="pinball", quantile=0.9)),
]


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: f"{t.task}-{t.loss.name}")
def test_no_rows_measure_nothing(target):
    answers = np.empty((0, 3)) if target.task == "multiclass" else np.empty(0)
    found = measures.evaluate(target, np.empty(0), answers)
    assert found[0].name == target.loss.name
    assert all(m.n == 0 and math.isnan(m.value) for m in found)
    assert measures.names_of(target) == tuple(m.name for m in found)


def values(target, truth, answers):
    found = measures.evaluate(target, np.array(truth, float), np.array(answers, float))
    return {m.name: m.value for m in found}


def test_measures_of_classes_are_those_of_scikit_learn():
    from sklearn import metrics

    rng = np.random.default_rng(2)
    scores, truth = rng.dirichlet([1, 1, 1], 300), rng.integers(0, 3, 300)
    found = values(Target("multiclass", ("a", "b", "c")), truth, scores)
    decided = scores.argmax(axis=1)
    assert found == pytest.approx(
        {
            "log_loss": metrics.log_loss(truth, scores),
            "accuracy": metrics.accuracy_score(truth, decided),
            "f1_macro": metrics.f1_score(truth, decided, average="macro"),
        }
    )


def test_measures_of_a_probability_are_those_of_scikit_learn():
    from sklearn import metrics

    rng = np.random.default_rng(4)
    scores, truth = rng.random(300), rng.integers(0, 2, 300)
    assert values(BINARY, truth, scores) == pytest.approx(
        {
            "log_loss": metrics.log_loss(truth, scores),
            "roc_auc": metrics.roc_auc_score(truth, scores),
            "brier": metrics.brier_score_loss(truth, scores),
            "accuracy": metrics.accuracy_score(truth, scores > 0.5),
            "base_rate": truth.mean(),
        }
    )


def test_measures_of_numbers_are_those_of_scikit_learn():
    from sklearn import metrics

    rng = np.random.default_rng(3)
    truth = rng.normal(size=300)
    answers = truth + rng.normal(size=300)
    found = values(Target("regression", (), Loss(name="pinball", quantile=0.9)), truth, answers)
    assert found == pytest.approx(
        {
            "pinball": metrics.mean_pinball_loss(truth, answers, alpha=0.9),
            "mae": metrics.mean_absolute_error(truth, answers),
            "rmse": metrics.root_mean_squared_error(truth, answers),
            "r2": metrics.r2_score(truth, answers),
        }
    )


def test_the_noise_of_days_holds_what_it_says_where_rows_of_a_day_share_a_shock():
    rng = np.random.default_rng(7)
    moments = np.repeat(np.arange(7) * 86_400_000_000, 50)
    above = 0
    for _ in range(2000):
        values = np.repeat(rng.normal(size=7), 50) + rng.normal(size=350)
        above += float(np.mean(values)) > measures.noise_of_days(values, moments)
    assert 0.03 < above / 2000 < 0.07, "5 %, where rows counted one by one would give 37 %"


@pytest.mark.parametrize(("freedom", "quantile"), [(3, 2.353), (6, 1.943), (30, 1.697)])
def test_students_quantile_is_that_of_the_tables(freedom: int, quantile: float):
    values = np.array([1.0, -1.0] * (freedom + 1))[: freedom + 1]
    moments = np.arange(freedom + 1) * 86_400_000_000
    error = np.std(values, ddof=1) / np.sqrt(freedom + 1)
    assert measures.noise_of_days(values, moments) == pytest.approx(quantile * error, rel=0.01)
