"""Realised quality: what the predictions were worth once the truth was known."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

import numpy as np

from tailrace.flights.journal import Predictions

CLIP = 1e-6
"""Scores are kept this far from 0 and 1, as everywhere in the platform."""


@dataclass(frozen=True)
class Labelled:
    """The predictions whose label was handed over."""

    seconds: np.ndarray
    """Event time of the prediction, in seconds since 1970; shape (n,)."""
    label: np.ndarray
    """0 or 1."""
    platform: np.ndarray
    """Score of the version that answered."""
    static: np.ndarray
    """Score of the never-retrained first version."""

    def between(self, start: datetime, end: datetime) -> "Labelled":
        """The part with event time in [start, end)."""
        part = (self.seconds >= start.timestamp()) & (self.seconds < end.timestamp())
        return Labelled(
            self.seconds[part], self.label[part], self.platform[part], self.static[part]
        )


@dataclass(frozen=True)
class Quality:
    """How good scores were; NaN where it cannot be said."""

    n: int
    log_loss: float
    auc: float


@dataclass(frozen=True)
class Period:
    """One stretch of event time, and both models in it."""

    start: datetime
    end: datetime
    base_rate: float
    platform: Quality
    static: Quality


def labelled(predictions: Predictions, newest: int | None = None) -> Labelled:
    """Join what was predicted with what was true, or the newest of the labels only."""
    truth = list(islice(reversed(predictions.truth.items()), newest))
    rows = [(predictions.index[i], label) for i, label in truth if i in predictions.index]
    # The observer appends meanwhile; what it has appended by now is complete.
    scored = len(predictions.static)
    rows = [(row, label) for row, label in rows if row < scored]
    at = np.array([row for row, _ in rows], dtype=np.int64)
    score = np.array(predictions.score[:scored])[at]
    answered = ~np.isnan(score)
    return Labelled(
        np.array(predictions.seconds[:scored])[at][answered],
        np.array([label for _, label in rows], dtype=float)[answered],
        score[answered],
        np.array(predictions.static[:scored])[at][answered],
    )


def log_loss(label: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Log-loss of each prediction, in nats."""
    p = np.clip(score, CLIP, 1 - CLIP)
    return -np.where(label > 0, np.log(p), np.log1p(-p))


def quality(label: np.ndarray, score: np.ndarray) -> Quality:
    """Mean log-loss and area under the ROC curve."""
    from sklearn.metrics import roc_auc_score

    if not len(label):
        return Quality(0, float("nan"), float("nan"))
    both = 0 < label.sum() < len(label)
    return Quality(
        len(label),
        float(log_loss(label, score).mean()),
        float(roc_auc_score(label, score)) if both else float("nan"),
    )


def over(data: Labelled, start: datetime, end: datetime) -> Period:
    """Both models over [start, end)."""
    part = data.between(start, end)
    return Period(
        start,
        end,
        float(part.label.mean()) if len(part.label) else float("nan"),
        quality(part.label, part.platform),
        quality(part.label, part.static),
    )


def by_month(data: Labelled, start: datetime, end: datetime) -> list[Period]:
    """Calendar months (UTC), the first and last cut to [start, end)."""
    periods = []
    month = datetime(start.year, start.month, 1, tzinfo=UTC)
    while month < end:
        following = (month + timedelta(days=32)).replace(day=1)
        periods.append(over(data, max(month, start), min(following, end)))
        month = following
    return periods


def by_week(data: Labelled, start: datetime, end: datetime) -> list[Period]:
    """Weeks from `start` on, the last cut at `end`."""
    periods = []
    week = start
    while week < end:
        periods.append(over(data, week, min(week + timedelta(days=7), end)))
        week += timedelta(days=7)
    return periods
