"""Sums of losses that come out the same in any order."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

BITS = 32
"""Sums of log-losses are whole multiples of 2**-BITS nats: one taken back leaves no rounding."""
FINE_BITS = 128
"""The same of losses in units of a user's own, which may be of any size."""
LARGEST = 1e30
"""A loss counts as this at most: the square of an error may be beyond all floats."""


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


@dataclass(frozen=True, slots=True)
class Cost:
    """What one labelled answer cost."""

    loss: float
    positive: bool = False
    """Whether the label is the positive class of a binary model."""
    bits: int = BITS
    """How finely such losses are added up."""


@dataclass(frozen=True, slots=True)
class LossSums:
    """Sufficient statistics of the realised loss, in units of 2**-bits."""

    n: int = 0
    total: int = 0
    squared: int = 0
    positives: int = 0
    bits: int = BITS

    def changed(self, cost: Cost | None, sign: int) -> "LossSums":
        """With one cost more (`sign` 1) or taken back (`sign` -1); None changes nothing."""
        if cost is None:
            return self
        if not self.n and self.bits != cost.bits:
            return LossSums(bits=cost.bits).changed(cost, sign)
        loss = min(cost.loss, LARGEST)
        return LossSums(
            self.n + sign,
            self.total + sign * self._whole(loss),
            self.squared + sign * self._whole(loss * loss),
            self.positives + sign * cost.positive,
            self.bits,
        )

    def _whole(self, value: float) -> int:
        return round(math.ldexp(value, self.bits))

    @property
    def sum(self) -> float:
        """Sum of the losses."""
        return self.total / 2**self.bits

    @property
    def sum_of_squares(self) -> float:
        """Sum of their squares."""
        return self.squared / 2**self.bits

    @property
    def mean(self) -> float:
        """Mean loss; NaN without any."""
        return self.sum / self.n if self.n else math.nan

    @property
    def deviation(self) -> float:
        """Standard deviation of one loss; NaN below two."""
        if self.n < 2:
            return math.nan
        spread = self.sum_of_squares / self.n - self.mean**2
        return math.sqrt(max(spread, 0.0) * self.n / (self.n - 1))


NO_LOSS = LossSums()
