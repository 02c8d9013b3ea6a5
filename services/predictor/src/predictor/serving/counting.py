"""Counts predictions a batch at a time: one after the other would cost each request dearly."""

import time
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from functools import lru_cache

from prometheus_client import Counter, Histogram

from predictor.domain.batching import grouped
from predictor.serving.metrics import CONFIDENCE, LATENCY, PREDICTIONS
from predictor.serving.prediction import Prediction
from servicekit.telemetry.tracing import exporting


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


@lru_cache(maxsize=256)
def _meters(model: str, version: str, arm: str) -> tuple[Counter, Histogram, Histogram]:
    """The metrics of an arm: finding them by their labels costs more than counting."""
    return (
        PREDICTIONS.labels(model, version, arm),
        CONFIDENCE.labels(model, version),
        LATENCY.labels(model),
    )


def count_answers(answered: Iterable[Prediction]) -> None:
    """Count answers; all take the time at which the last of them was sent."""
    now = time.perf_counter()
    traced = exporting()
    groups = grouped(((p.version.model, p.version.version, p.arm.name), p) for p in answered)
    for labels, group in groups.items():
        predictions, confidences, latency = _meters(*labels)
        predictions.inc(len(group))
        decided = (p.decision for p in group)
        sure = [d.confidence for d in decided if d is not None and d.confidence is not None]
        observe_all(confidences, sure)
        observe_all(latency, [now - p.arrived for p in group if not (traced and p.traceparent)])
        if not traced:
            continue
        for prediction in group:
            if (trace := prediction.traceparent) is not None:
                # 00-<32 digits of the trace>-<16 of the span>-<flags>
                latency.observe(now - prediction.arrived, {"trace_id": trace[3:35]})
