"""What came of a run, out of the buckets of its clients."""

import math
import statistics
from typing import Any

import numpy as np
from bench.overload.clients import BUCKET_SECONDS, Bucket, Clients
from bench.overload.watching import Look

SLOWER = 2.0
"""Times the p99 of before, and at least 50 ms: from there on it has not recovered yet."""


def rate(clients: Clients, begin: float, end: float, *statuses: int) -> float:
    """Answers a second that came between two times, with these statuses."""
    found = sum(sum(b.answered[s] for s in statuses) for b in between(clients, begin, end))
    return found / (end - begin)


def between(clients: Clients, begin: float, end: float) -> list[Bucket]:
    """The buckets of a stretch of time, to the nearest."""
    first, last = round(begin / BUCKET_SECONDS), round(end / BUCKET_SECONDS)
    return [clients.bucket(i * BUCKET_SECONDS + 1e-9) for i in range(first, last)]


def measured(
    clients: Clients, looks: list[Look], capacity: float, marks: list[float]
) -> dict[str, Any]:
    """The figures of a run.

    Args:
        clients: when they are done.
        looks: at the server, meanwhile.
        capacity: requests a second.
        marks: when it began, when the overload began and ended, and when all was over.
    """
    quiet, begin, end, over = marks
    under = between(clients, begin, end)
    latencies = [ms for bucket in under for ms in bucket.latencies]
    goodput = rate(clients, begin, end, 200)
    lasted = end - begin
    others = sum(
        count
        for bucket in between(clients, quiet, over)
        for status, count in bucket.statuses.items()
        if status not in (200, 429, 503)
    )
    before = [ms for bucket in between(clients, quiet, begin) for ms in bucket.latencies]
    early = [x.rss_mb for x in looks if begin + lasted / 6 <= x.at < begin + lasted / 6 + 3]
    late = [x.rss_mb for x in looks if end - 3 <= x.at < end]
    return {
        "capacity": round(capacity),
        "offered": round(sum(b.sent + b.unsent for b in under) / lasted),
        "unsent": round(sum(b.unsent for b in under) / lasted),
        "goodput": round(goodput),
        "goodput_ratio": round(goodput / capacity, 3),
        "refused": round(rate(clients, begin, end, 429, 503)),
        "others": others,
        "latency_ms": quantiles(latencies),
        "latency_before_ms": quantiles(before),
        "memory_mb": {
            "early": round(statistics.median(early or [0.0]), 1),
            "end": round(statistics.median(late or [0.0]), 1),
        },
        "slowest_page_ms": round(max(x.ms for x in looks if begin <= x.at < end), 1),
        "pages_failed": sum(x.status != 200 for x in looks if begin <= x.at < end),
        "recovery_seconds": recovery(clients, end, over, quantiles(before)["p99"]),
        "began": round(begin - quiet, 2),
        "ended": round(end - quiet, 2),
        "series": series(clients, quiet, over),
        "memory_series": [[round(x.at - quiet, 2), round(x.rss_mb, 1)] for x in looks],
    }


def recovery(clients: Clients, end: float, over: float, p99: float) -> float | None:
    """Seconds from the end of the overload until requests are all answered 200, and as fast.

    None: not while they were watched.
    """
    slow = max(50.0, SLOWER * p99)
    # The bucket in which the overload ends holds requests of both.
    first = math.ceil(end / BUCKET_SECONDS)
    ill = -1
    watched = int(over / BUCKET_SECONDS) - first
    for i in range(watched):
        bucket = clients.bucket((first + i) * BUCKET_SECONDS + 1e-9)
        fine = set(bucket.statuses) <= {200} and not bucket.unsent
        if not fine or (bucket.latencies and quantiles(bucket.latencies)["p99"] > slow):
            ill = i
    if ill == watched - 1:
        return None
    return round((first + ill + 1) * BUCKET_SECONDS - end, 2) if ill >= 0 else 0.0


def series(clients: Clients, begin: float, end: float) -> list[dict[str, float]]:
    """What the plot shows, a point a bucket."""
    found = []
    for i, bucket in enumerate(between(clients, begin, end)):
        latency = quantiles(bucket.latencies)
        found.append(
            {
                "at": round(i * BUCKET_SECONDS, 2),
                "ok": bucket.answered[200] / BUCKET_SECONDS,
                "refused": (bucket.answered[429] + bucket.answered[503]) / BUCKET_SECONDS,
                "p50_ms": latency["p50"],
                "p99_ms": latency["p99"],
            }
        )
    return found


def quantiles(values: list[float]) -> dict[str, float]:
    """Median and p99; 0 of nothing."""
    if not values:
        return {"p50": 0.0, "p99": 0.0}
    p50, p99 = np.quantile(values, [0.5, 0.99])
    return {"p50": round(float(p50), 2), "p99": round(float(p99), 2)}
