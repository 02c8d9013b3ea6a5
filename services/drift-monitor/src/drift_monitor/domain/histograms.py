"""Counts in fixed bins: small enough to be state, exact however they are merged."""

import math
from bisect import bisect_right
from collections.abc import Sequence

Counts = tuple[int, ...]

SCORE_BINS = 20
NO_SCORES: Counts = (0,) * SCORE_BINS

LATENCY_LOW_MS = 0.01
LATENCY_BINS = 96
_BINS_PER_OCTAVE = 4
NO_LATENCIES: Counts = (0,) * LATENCY_BINS
"""From 10 µs in steps of 19 % to 160 s; the ends take what lies beyond."""


def add(counts: Counts, index: int, step: int = 1) -> Counts:
    """The counts with one more in a bin, and with more bins where it lies beyond them."""
    counts += (0,) * (index + 1 - len(counts))
    return (*counts[:index], counts[index] + step, *counts[index + 1 :])


def score_bin(score: float) -> int:
    """The bin of a score in [0, 1]; the last one includes 1."""
    return min(max(int(score * SCORE_BINS), 0), SCORE_BINS - 1)


def number_bin(number: float, edges: Sequence[float]) -> int:
    """The bin of a number between edges, each of which is outside of the bin that it ends."""
    return bisect_right(edges, number)


def latency_bin(milliseconds: float) -> int:
    """The bin of a latency."""
    if milliseconds <= LATENCY_LOW_MS:
        return 0
    index = int(math.log2(milliseconds / LATENCY_LOW_MS) * _BINS_PER_OCTAVE) + 1
    return min(index, LATENCY_BINS - 1)


def latency_quantile(counts: Sequence[int], q: float) -> float | None:
    """The quantile in milliseconds, right within half a bin (9 %); None without any count."""
    total = sum(counts)
    if not total:
        return None
    rank, below = q * total, 0
    for index, count in enumerate(counts):
        if count and below + count >= rank:
            if index == 0:
                return LATENCY_LOW_MS
            inside = (rank - below) / count
            return LATENCY_LOW_MS * 2 ** ((index - 1 + inside) / _BINS_PER_OCTAVE)
        below += count
    return LATENCY_LOW_MS * 2 ** ((LATENCY_BINS - 1) / _BINS_PER_OCTAVE)


def jensen_shannon(left: Sequence[int], right: Sequence[int]) -> float:
    """The Jensen-Shannon distance of two histograms: √ of the divergence in nats, 0 to 0.83.

    Lin, "Divergence measures based on the Shannon entropy" (1991); the root makes it a metric
    (Endres and Schindelin, 2003). SciPy and Evidently take the same base.

    Raises:
        ValueError: a histogram is empty, or they have different bins.
    """
    if len(left) != len(right):
        raise ValueError(f"histograms of {len(left)} and {len(right)} bins do not compare")
    left_total, right_total = sum(left), sum(right)
    if not left_total or not right_total:
        raise ValueError("an empty histogram has no distance")
    divergence = 0.0
    for a, b in zip(left, right, strict=True):
        p, q = a / left_total, b / right_total
        middle = (p + q) / 2
        if p:
            divergence += p * math.log(p / middle) / 2
        if q:
            divergence += q * math.log(q / middle) / 2
    return math.sqrt(max(divergence, 0.0))
