"""What is compared of results: ratios within one run, which another machine changes little."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Ratio:
    """A figure beside its peer or floor, from one run.

    Attributes:
        name: What it is.
        value: The ratio.
        higher_is_better: Otherwise lower is.
    """

    name: str
    value: float
    higher_is_better: bool


@dataclass(frozen=True, slots=True)
class Change:
    """A ratio before and after; `worse` is the share of `before` that was lost, negative a gain."""

    name: str
    before: float
    after: float
    worse: float


def ratios(result: Mapping[str, Any]) -> list[Ratio]:
    """The ratios of a result of `bench.serving` or `bench.kit`.

    Raises:
        ValueError: it is of another benchmark.
    """
    if "bars" in result:
        return [
            Ratio(bar["bar"], bar["value"], bar["wanted"].startswith(">")) for bar in result["bars"]
        ]
    if "loops" in result:
        rates = {(row["loop"], row["batch"]): row["events_per_second"] for row in result["loops"]}
        return [
            Ratio(f"{loop} / bare, batches of {batch}", rate / rates["bare", batch], True)
            for (loop, batch), rate in rates.items()
            if loop.startswith("kit") and ("bare", batch) in rates
        ]
    raise ValueError(f"no bars and no loops, only {', '.join(sorted(result))}: of which benchmark?")


def changes(before: Sequence[Ratio], after: Sequence[Ratio]) -> list[Change]:
    """The ratios that both have, worst first."""
    now = {ratio.name: ratio.value for ratio in after}
    found = [
        Change(old.name, old.value, now[old.name], _worse(old, now[old.name]))
        for old in before
        if old.name in now and old.value
    ]
    return sorted(found, key=lambda change: -change.worse)


def _worse(old: Ratio, now: float) -> float:
    gain = (now - old.value) / old.value
    return -gain if old.higher_is_better else gain
