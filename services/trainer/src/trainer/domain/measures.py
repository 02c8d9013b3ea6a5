"""Measures of a model's answers, each with a 95 % interval where it has one."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from event_schemas.task import Loss, Target
from trainer.domain.targets import Floats, decisions, losses

Z95 = 1.959963984540054
"""Quantile 0.975 of the standard normal distribution."""
DAY_MICROSECONDS = 86_400_000_000
MIN_DAYS = 4
"""Days from which their differences tell how far the next one may be off."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A value with its 95 % interval; NaN where it could not be computed."""

    name: str
    value: float
    low: float
    high: float
    n: int


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


def roc_auc(labels: Floats, scores: Floats) -> Measure:
    """Area under the ROC curve with DeLong's interval; NaN when only one class is there.

    Sun and Xu, Fast implementation of DeLong's algorithm for comparing the areas under correlated
    receiver operating characteristic curves, IEEE Signal Processing Letters 21 (2014),
    p. 1389-1393, after DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988), p. 837-845.
    """
    positive = labels > 0.5
    m, k = int(positive.sum()), int((~positive).sum())
    if m == 0 or k == 0:
        return Measure("roc_auc", math.nan, math.nan, math.nan, len(labels))
    ranks = _midranks(np.asarray(scores, dtype=np.float64))
    value = (float(ranks[positive].sum()) - m * (m + 1) / 2) / (m * k)
    if m == 1 or k == 1:
        return Measure("roc_auc", value, math.nan, math.nan, len(labels))
    # Structural components: how often each row beats, or is beaten by, the other class.
    wins = (ranks[positive] - _midranks(scores[positive])) / k
    losses = 1 - (ranks[~positive] - _midranks(scores[~positive])) / m
    half = Z95 * math.sqrt(float(np.var(wins, ddof=1)) / m + float(np.var(losses, ddof=1)) / k)
    return Measure("roc_auc", value, max(0.0, value - half), min(1.0, value + half), len(labels))


def evaluate(target: Target, truth: Floats, answers: Floats) -> tuple[Measure, ...]:
    """The measures that every version is registered with; that of its loss comes first.

    A row of a class that the model does not know counts as answered wrongly.
    """
    of_task = {"binary": _of_binary, "multiclass": _of_multiclass, "regression": _of_regression}
    first = mean(target.loss.name, losses(target, truth, answers))
    others = of_task[target.task](target, truth, answers)
    return (first, *(each for each in others if each.name != first.name))


def names_of(target: Target) -> tuple[str, ...]:
    """Names of the measures of a target, in their order."""
    nothing = np.empty(0)
    whole = replace(target, classes=target.classes or ("0", "1", "2"))
    scores = np.empty((0, len(whole.classes))) if target.task == "multiclass" else nothing
    return tuple(measure.name for measure in evaluate(whole, nothing, scores))


def _of_binary(target: Target, truth: Floats, scores: Floats) -> Iterator[Measure]:
    yield mean("log_loss", _log_losses(target, truth, scores))
    yield roc_auc(truth, scores)
    yield mean("brier", (scores - truth) ** 2)
    yield share("accuracy", int((decisions(target, scores) == truth).sum()), len(truth))
    yield share("base_rate", int((truth > 0.5).sum()), len(truth))


def _of_multiclass(target: Target, truth: Floats, scores: Floats) -> Iterator[Measure]:
    decided = decisions(target, scores) if len(truth) else np.empty(0)
    yield mean("log_loss", _log_losses(target, truth, scores))
    yield share("accuracy", int((decided == truth).sum()), len(truth))
    yield _without_interval("f1_macro", _f1_macro(target, truth, decided), len(truth))


def _of_regression(target: Target, truth: Floats, answers: Floats) -> Iterator[Measure]:
    error = truth - answers
    squares = mean("squared_error", error**2)
    yield mean("mae", np.abs(error))
    value, low, high = map(_root, (squares.value, squares.low, squares.high))
    yield Measure("rmse", value, low, high, squares.n)
    spread = float(np.sum((truth - np.mean(truth)) ** 2)) if len(truth) else 0.0
    explained = 1 - float(np.sum(error**2)) / spread if spread else math.nan
    yield _without_interval("r2", explained, len(truth))


def _log_losses(target: Target, truth: Floats, scores: Floats) -> Floats:
    return losses(replace(target, loss=Loss()), truth, scores)


def _f1_macro(target: Target, truth: Floats, decided: NDArray[np.number]) -> float:
    """Mean over the classes that are there of 2 hits / (decided + true)."""
    found = [
        2 * float(np.sum((decided == place) & (truth == place))) / both
        for place in range(len(target.classes))
        if (both := float(np.sum(decided == place) + np.sum(truth == place)))
    ]
    return float(np.mean(found)) if found else math.nan


def _without_interval(name: str, value: float, n: int) -> Measure:
    return Measure(name, value, math.nan, math.nan, n)


def _root(value: float) -> float:
    return math.nan if math.isnan(value) else math.sqrt(max(0.0, value))


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
