"""Log-loss, and sums of it that come out the same in any order."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

CLIP = 1e-6
UNIT = 2**32
"""Sums are whole multiples of 1/UNIT nats: a loss taken back leaves no rounding behind."""


class InvalidLabelError(ValueError):
    """A label that is neither 0 nor 1."""


class InvalidScoreError(ValueError):
    """A score that is no probability."""


def log_loss(score: float, label: float) -> float:
    """Loss of one prediction, in nats, with the score clipped to [1e-6, 1 - 1e-6]."""
    p = min(max(score, CLIP), 1 - CLIP)
    return -math.log(p) if label == 1.0 else -math.log1p(-p)


def estimated_loss(counts: Sequence[int]) -> float:
    """Mean loss of predictions whose scores are calibrated, from a histogram over [0, 1].

    A score p is then right with probability p, which costs its entropy; scores count as the middle
    of their bin. NaN without any.
    """
    n = sum(counts)
    if not n:
        return math.nan
    middles = [(i + 0.5) / len(counts) for i in range(len(counts))]
    entropies = [-p * math.log(p) - (1 - p) * math.log1p(-p) for p in middles]
    return sum(c * h for c, h in zip(counts, entropies, strict=True)) / n


def checked_label(label: float | str) -> float:
    """The label, if it is one.

    Raises:
        InvalidLabelError: it is neither 0 nor 1.
    """
    try:
        found = float(label)
    except ValueError:
        found = math.nan
    if found not in (0.0, 1.0):
        raise InvalidLabelError(f"label is {label!r}: a binary classification takes 0 or 1")
    return found


def checked_score(score: float | None) -> float | None:
    """The score, if it is one; None where there is none.

    Raises:
        InvalidScoreError: it is no probability: one such would be the mean of all.
    """
    if score is not None and not 0.0 <= score <= 1.0:
        raise InvalidScoreError(f"score is {score!r}: a probability lies between 0 and 1")
    return score


@dataclass(frozen=True, slots=True)
class LossSums:
    """Sufficient statistics of the realised loss, in units of 1/UNIT."""

    n: int = 0
    total: int = 0
    squared: int = 0
    positives: int = 0

    def changed(self, score: float, label: float, sign: int) -> "LossSums":
        """With one loss more (`sign` 1) or taken back (`sign` -1)."""
        loss = log_loss(score, label)
        return LossSums(
            self.n + sign,
            self.total + sign * round(loss * UNIT),
            self.squared + sign * round(loss * loss * UNIT),
            self.positives + sign * int(label),
        )

    @property
    def mean(self) -> float:
        """Mean loss in nats; NaN without any."""
        return self.total / UNIT / self.n if self.n else math.nan

    @property
    def deviation(self) -> float:
        """Standard deviation of one loss, in nats; NaN below two."""
        if self.n < 2:
            return math.nan
        spread = self.squared / UNIT / self.n - self.mean**2
        return math.sqrt(max(spread, 0.0) * self.n / (self.n - 1))


NO_LOSS = LossSums()
