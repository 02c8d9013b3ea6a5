"""Bounds that hold however often one looks: asymptotic confidence sequences.

Source: Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas, "Time-uniform central limit theory and
asymptotic confidence sequences", Annals of Statistics 2024: Theorem 2.2 for the radius, Appendix
B.2 for the choice of rho. A canary is looked at many times, which a fixed-sample interval forbids.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sample:
    """Sufficient statistics of some measured values."""

    n: int = 0
    total: float = 0.0
    total_squared: float = 0.0

    def __add__(self, other: "Sample") -> "Sample":
        return Sample(
            self.n + other.n,
            self.total + other.total,
            self.total_squared + other.total_squared,
        )

    @property
    def mean(self) -> float:
        """Mean of the values; NaN of none."""
        return self.total / self.n if self.n else math.nan

    @property
    def deviation(self) -> float:
        """Standard deviation of the values, not below zero; NaN of none."""
        if not self.n:
            return math.nan
        return math.sqrt(max(0.0, self.total_squared / self.n - self.mean**2))

    def times(self, factor: float) -> "Sample":
        """The same values, each times a factor."""
        return Sample(self.n, self.total * factor, self.total_squared * factor**2)

    @classmethod
    def of_share(cls, hits: int, n: int) -> "Sample":
        """A share, with one hit and one miss added so that no hits still leave some doubt."""
        return cls(n + 2, hits + 1, hits + 1)


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and the range that holds the truth at every time at once."""

    estimate: float
    low: float
    high: float

    def moved(self, by: float) -> "Interval":
        """The interval of the same value plus a number."""
        return Interval(self.estimate + by, self.low + by, self.high + by)


def radius(sample: Sample, alpha: float, tightest_at: int) -> float:
    """Half the width of the two-sided confidence sequence around a mean.

    Args:
        sample: what was measured so far.
        alpha: probability that the truth ever leaves the sequence.
        tightest_at: the number of values at which the sequence is to be narrowest.

    Returns:
        sigma * sqrt(2 (n rho^2 + 1) / (n^2 rho^2) * ln(sqrt(n rho^2 + 1) / alpha)); infinite when
        nothing was measured.
    """
    n = sample.n
    if n == 0:
        return math.inf
    bits = -2 * math.log(alpha)
    rho2 = (bits + math.log(bits) + 1) / tightest_at
    spread = 2 * (n * rho2 + 1) / (n * n * rho2)
    return sample.deviation * math.sqrt(spread * math.log(math.sqrt(n * rho2 + 1) / alpha))


def difference(baseline: Sample, trial: Sample, alpha: float, tightest_at: int) -> Interval:
    """The mean of `trial` minus that of `baseline`, valid at every look.

    Each arm has a sequence of its own at alpha / 2; by the union bound both hold together.
    """
    if not baseline.n or not trial.n:
        return Interval(math.nan, -math.inf, math.inf)
    width = radius(baseline, alpha / 2, tightest_at) + radius(trial, alpha / 2, tightest_at)
    estimate = trial.mean - baseline.mean
    return Interval(estimate, estimate - width, estimate + width)
