"""Observes many values at once: each by itself costs a request as much as all else that counts."""

from bisect import bisect_left
from collections.abc import Sequence

from prometheus_client import Histogram


def observe_all(histogram: Histogram, values: Sequence[float]) -> None:
    """What `histogram.observe` of each value does, with one step a bucket that got any.

    Args:
        histogram: one that has its labels, if it takes any.
        values: in no order.
    """
    if not values:
        return
    bounds, buckets = histogram._upper_bounds, histogram._buckets  # pyright: ignore[reportAttributeAccessIssue]
    found: dict[int, int] = {}
    for value in values:
        at = bisect_left(bounds, value)
        found[at] = found.get(at, 0) + 1
    histogram._sum.inc(sum(values))  # pyright: ignore[reportAttributeAccessIssue]
    for at, count in found.items():
        buckets[at].inc(count)
