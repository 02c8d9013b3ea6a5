"""What the samples of memory say, as numbers, as a table and as a plot."""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

FLAT_MB, FLAT_SHARE = 10.0, 0.05
"""Growth over the second half of the events that still is noise, whichever is more."""

BULK = 0.99
"""Share of its events with which a process is done; what it does later is idling."""

Sample = tuple[float, int, float]
"""Seconds since the start, events taken, MB."""


def summary(samples: Sequence[Sample]) -> dict[str, Any]:
    """Memory while a service was at work, and its line over the second half of its events."""
    last = samples[-1][1]
    # Single events come to the end: what matters is when the bulk was taken.
    busy = [s for s in samples if s[1] < BULK * last] or list(samples)
    half = [s for s in busy if s[1] >= last / 2]
    slope = 0.0
    if len({s[1] for s in half}) > 1:
        line = statistics.linear_regression([s[1] / 1e6 for s in half], [s[2] for s in half])
        slope = line.slope
    growth = slope * last / 2 / 1e6
    middle = statistics.median(s[2] for s in half) if half else samples[-1][2]
    return {
        "events": last,
        "events_per_second": round(last / busy[-1][0]) if busy[-1][0] else 0,
        "start_mb": samples[0][2],
        "median_mb": round(middle, 1),
        "peak_mb": max(s[2] for s in samples),
        "slope_mb_per_million": round(slope, 2),
        "growth_mb": round(growth, 1),
        "flat": growth <= max(FLAT_MB, FLAT_SHARE * middle),
    }


def show(result: dict[str, Any]) -> None:
    """The table of docs/performance.md."""
    print(f"\n{result['events']:,} events in {result['seconds']:,.0f} s, {result['broker']}\n")
    heads = ("process", "events", "MB at first", "median", "peak", "MB a million", "in all", "flat")
    print(f"| {' | '.join(heads)} |\n{'|---' * len(heads)}|")
    for row in result["services"]:
        print(
            f"| {row['service']} | {row['events']:,} | {row['start_mb']:.0f} |"
            f" {row['median_mb']:.0f} | {row['peak_mb']:.0f} | {row['slope_mb_per_million']:+.1f} |"
            f" {row['growth_mb']:+.1f} MB | {'yes' if row['flat'] else 'no'} |"
        )


def plot(result: dict[str, Any], path: Path) -> None:
    """Memory of each process over the events that it took."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(9, 4.5), layout="constrained")
    for row in result["services"]:
        millions = [s[1] / 1e6 for s in row["samples"]]
        axes.plot(millions, [s[2] for s in row["samples"]], label=row["service"])
    axes.set_xlabel("million events that the process took, or made")
    axes.set_ylabel("resident memory, MB")
    axes.set_ylim(bottom=0)
    axes.legend(fontsize="small")
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=110)
