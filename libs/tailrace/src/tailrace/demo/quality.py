"""Realised quality: what the predictions were worth once the truth was known."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

import numpy as np
import pandas as pd

from tailrace.flights.journal import Predictions

CLIP = 1e-6
"""Scores are kept this far from 0 and 1, as everywhere in the platform."""


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


def labelled(predictions: Predictions, newest: int | None = None) -> pd.DataFrame:
    """Join what was predicted with what was true, or the newest of the labels only.

    Returns:
        A row a prediction: `seconds` (its event time, since 1970), `label` (0 or 1), and the scores
        of `platform` (the version that answered) and `static` (the never-retrained first version).
    """
    truth = list(islice(reversed(predictions.truth.items()), newest))
    rows = [(predictions.index[i], label) for i, label in truth if i in predictions.index]
    # The observer appends meanwhile; what it has appended by now is complete.
    scored = len(predictions.static)
    labels = pd.Series(dict(rows), dtype=float, name="label")
    table = pd.DataFrame(
        {
            "seconds": np.array(predictions.seconds[:scored]),
            "platform": np.array(predictions.score[:scored]),
            "static": np.array(predictions.static[:scored]),
        }
    )
    return table.join(labels, how="inner").dropna()


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


def over(data: pd.DataFrame, start: datetime, end: datetime) -> Period:
    """Both models over [start, end)."""
    part = data[data["seconds"].between(start.timestamp(), end.timestamp(), inclusive="left")]
    label = np.asarray(part["label"])
    return Period(
        start,
        end,
        float(label.mean()) if len(label) else float("nan"),
        quality(label, np.asarray(part["platform"])),
        quality(label, np.asarray(part["static"])),
    )


def by_month(data: pd.DataFrame, start: datetime, end: datetime) -> list[Period]:
    """Calendar months (UTC), the first and last cut to [start, end)."""
    periods = []
    month = datetime(start.year, start.month, 1, tzinfo=UTC)
    while month < end:
        following = (month + timedelta(days=32)).replace(day=1)
        periods.append(over(data, max(month, start), min(following, end)))
        month = following
    return periods


def by_week(data: pd.DataFrame, start: datetime, end: datetime) -> list[Period]:
    """Weeks from `start` on, the last cut at `end`."""
    periods = []
    week = start
    while week < end:
        periods.append(over(data, week, min(week + timedelta(days=7), end)))
        week += timedelta(days=7)
    return periods
