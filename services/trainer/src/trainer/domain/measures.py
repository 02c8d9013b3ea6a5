"""Measures of a probability forecast, each with a 95 % interval."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

Z95 = 1.959963984540054
"""Quantile 0.975 of the standard normal distribution."""
DAY_MICROSECONDS = 86_400_000_000
MIN_DAYS = 4
"""Days from which their differences tell how far the next one may be off."""
CLIP = 1e-7
"""Probabilities are kept this far from 0 and 1: float32 has no more, and a loss stays finite."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A value with its 95 % interval; NaN where it could not be computed."""

    name: str
    value: float
    low: float
    high: float
    n: int


def log_losses(labels: Floats, scores: Floats) -> Floats:
    """Log-loss of each row, in nats: -ln of the probability given to what happened."""
    p = np.clip(np.asarray(scores, dtype=np.float64), CLIP, 1 - CLIP)
    return -np.where(labels > 0.5, np.log(p), np.log1p(-p))


def mean(name: str, values: Floats) -> Measure:
    """Mean with the normal approximation of its interval (central limit theorem)."""
    n = len(values)
    if n == 0:
        return Measure(name, math.nan, math.nan, math.nan, 0)
    value = float(np.mean(values))
    if n == 1:
        return Measure(name, value, math.nan, math.nan, 1)
    half = Z95 * float(np.std(values, ddof=1)) / math.sqrt(n)
    return Measure(name, value, value - half, value + half, n)


def noise_of_days(values: Floats, moments: NDArray[np.int64]) -> float:
    """How far above 0 the mean of rows may come out in 5 % of cases if it is 0: by days, not rows.

    Rows of one day share their fate, so a day is one observation: the standard error of a mean over
    clusters, times Student's quantile with a degree of freedom less than there are days.

    A. C. Cameron and D. L. Miller, A practitioner's guide to cluster-robust inference, Journal of
    Human Resources 50 (2015), p. 317-372; the quantile by Abramowitz and Stegun, Handbook of
    Mathematical Functions, 26.7.5.

    Args:
        values: One number a row.
        moments: Event time of each row, in microseconds since 1970.

    Returns:
        The noise, in the unit of the values; 0 for fewer than `MIN_DAYS` days, which tell nothing
        of how days differ.
    """
    days, of_day = np.unique(moments // DAY_MICROSECONDS, return_inverse=True)
    if len(days) < MIN_DAYS:
        return 0.0
    sums = np.bincount(of_day, weights=values - np.mean(values))
    scale = len(days) / (len(days) - 1)
    error = math.sqrt(scale * float(np.sum(sums**2))) / len(values)
    return _student95(len(days) - 1) * error


def share(name: str, hits: int, n: int) -> Measure:
    """Share of rows with Wilson's score interval.

    E. B. Wilson, Probable inference, the law of succession, and statistical inference,
    Journal of the American Statistical Association 22 (1927), p. 209-212.
    """
    if n == 0:
        return Measure(name, math.nan, math.nan, math.nan, 0)
    p, z2 = hits / n, Z95**2
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = Z95 * math.sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    return Measure(name, p, middle - half, middle + half, n)


def auc(labels: Floats, scores: Floats) -> Measure:
    """Area under the ROC curve with DeLong's interval; NaN when only one class is there.

    Sun and Xu, Fast implementation of DeLong's algorithm for comparing the areas under correlated
    receiver operating characteristic curves, IEEE Signal Processing Letters 21 (2014),
    p. 1389-1393, after DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988), p. 837-845.
    """
    positive = labels > 0.5
    m, k = int(positive.sum()), int((~positive).sum())
    if m == 0 or k == 0:
        return Measure("auc", math.nan, math.nan, math.nan, len(labels))
    ranks = _midranks(np.asarray(scores, dtype=np.float64))
    value = (float(ranks[positive].sum()) - m * (m + 1) / 2) / (m * k)
    if m == 1 or k == 1:
        return Measure("auc", value, math.nan, math.nan, len(labels))
    # Structural components: how often each row beats, or is beaten by, the other class.
    wins = (ranks[positive] - _midranks(scores[positive])) / k
    losses = 1 - (ranks[~positive] - _midranks(scores[~positive])) / m
    half = Z95 * math.sqrt(float(np.var(wins, ddof=1)) / m + float(np.var(losses, ddof=1)) / k)
    return Measure("auc", value, max(0.0, value - half), min(1.0, value + half), len(labels))


def evaluate(labels: Floats, scores: Floats) -> tuple[Measure, ...]:
    """The measures that every version is registered with."""
    return (
        mean("log_loss", log_losses(labels, scores)),
        auc(labels, scores),
        share("base_rate", int((labels > 0.5).sum()), len(labels)),
    )


def _student95(freedom: int) -> float:
    """Quantile 0.95 of Student's distribution, to 1 % from three degrees of freedom on."""
    z = 1.6448536269514722
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3


def _midranks(values: Floats) -> Floats:
    """Ranks from 1; equal values share the mean of their ranks."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]
