"""Realised log-loss and AUC, by period."""

import math
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from tailrace.demo.quality import by_month, by_week, labelled, log_loss, over
from tailrace.flights.journal import Predictions

START = datetime(2013, 2, 1, tzinfo=UTC)


def predictions(rows: list[tuple[float, float, float, int | None]]) -> Predictions:
    """Rows of (days after START, score, static score, label)."""
    p = Predictions()
    for number, (days, score, static, label) in enumerate(rows):
        name = f"p{number}"
        p.index[name] = number
        p.seconds.append((START + timedelta(days=days)).timestamp())
        p.score.append(score)
        p.static.append(static)
        if label is not None:
            p.truth[name] = label
    return p


def test_log_loss_is_the_negative_log_of_the_probability_of_what_happened() -> None:
    losses = log_loss(np.array([1.0, 0.0]), np.array([0.8, 0.8]))
    assert losses == pytest.approx([-math.log(0.8), -math.log(0.2)])


def test_a_certain_mistake_costs_much_but_not_everything() -> None:
    assert log_loss(np.array([1.0]), np.array([0.0]))[0] == pytest.approx(-math.log(1e-6))


def test_only_labelled_and_answered_predictions_count() -> None:
    data = labelled(predictions([(0, 0.9, 0.5, 1), (0, 0.2, 0.5, None), (0, float("nan"), 0.5, 1)]))
    assert data.platform.tolist() == [0.9]


def test_a_label_without_its_prediction_is_left_out() -> None:
    p = predictions([(0, 0.9, 0.5, 1)])
    p.truth["never logged"] = 1
    assert len(labelled(p).label) == 1


def test_both_models_are_measured_on_the_same_rows() -> None:
    data = labelled(predictions([(0, 0.9, 0.6, 1), (1, 0.1, 0.4, 0)]))
    period = over(data, START, START + timedelta(days=7))
    assert (period.platform.n, period.static.n, period.base_rate) == (2, 2, 0.5)
    assert period.platform.log_loss < period.static.log_loss
    assert period.platform.auc == 1.0


def test_a_period_with_one_class_has_no_auc() -> None:
    data = labelled(predictions([(0, 0.9, 0.6, 1)]))
    assert math.isnan(over(data, START, START + timedelta(days=1)).platform.auc)


def test_months_are_cut_at_the_ends_and_cover_everything_once() -> None:
    rows = [(float(day), 0.5, 0.5, day % 2) for day in range(60)]
    months = by_month(labelled(predictions(rows)), START, START + timedelta(days=60))
    assert [m.start.strftime("%m-%d") for m in months] == ["02-01", "03-01", "04-01"]
    assert sum(m.platform.n for m in months) == 60


def test_weeks_cover_everything_once() -> None:
    rows = [(float(day), 0.5, 0.5, day % 2) for day in range(17)]
    weeks = by_week(labelled(predictions(rows)), START, START + timedelta(days=17))
    assert [w.platform.n for w in weeks] == [7, 7, 3]
