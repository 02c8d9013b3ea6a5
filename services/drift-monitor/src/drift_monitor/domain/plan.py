"""The drift policy of a version, in the units that the domain counts in."""

from collections.abc import Mapping
from dataclasses import dataclass, field

SECOND = 1_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR


@dataclass(frozen=True, slots=True)
class Plan:
    """When a version's slices and windows end, and when they count as drifted; times in µs."""

    window: int = 7 * DAY
    slice: int = DAY
    lateness: int = 12 * HOUR
    label_ttl: int = 30 * DAY
    min_rows: int = 500
    sample_rows: int = 5000
    threshold: float = 0.1
    thresholds: Mapping[str, float] = field(default_factory=dict)
    """Thresholds of single columns, in place of `threshold`."""
    drift_share: float = 0.5
    consecutive: int = 2
    loss_tolerance: float = 0.05
    alpha: float = 0.05

    def threshold_of(self, column: str) -> float:
        """The distance from which a column counts as drifted."""
        return self.thresholds.get(column, self.threshold)


def in_force(arm: str, weight: float) -> bool:
    """Whether the version that answered in this arm, at this challenger's weight, is in force.

    A prediction says so by itself; it need not wait for the rollout's step to be read.
    """
    return weight >= 1.0 if arm == "challenger" else arm == "champion" and weight < 1.0


def floor(time: int, length: int) -> int:
    """The last multiple of `length` that is not after `time`."""
    return time // length * length
