"""What a person can choose about the demo."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

FIRST = datetime(2013, 1, 1, tzinfo=UTC)
LAST = datetime(2013, 12, 28, tzinfo=UTC)
RUN_OUT = timedelta(days=3)
"""The replay goes on for so long after the end, so that the last windows close."""


class OptionsError(Exception):
    """An option cannot be; the text names it, its value and what would do."""


@dataclass(frozen=True)
class DemoOptions:
    """A replay of [start, end) in event time, after a history of what came before."""

    start: datetime
    end: datetime
    speed: float
    """Days of event time a second, at most; the platform may ask for less."""
    seed: int
    report: Path
    """Folder of report.json and the plots."""
    sabotage: bool = True
    """Whether somebody approves a broken model half-way, past the gate."""

    def __post_init__(self) -> None:
        if self.start < FIRST + timedelta(days=14):
            raise OptionsError(
                f"--from {self.start:%Y-%m-%d}: the data begin on {FIRST:%Y-%m-%d} and the first"
                " model needs two weeks of history, so give 2013-01-15 or later"
            )
        if self.end > LAST:
            raise OptionsError(
                f"--to {self.end:%Y-%m-%d}: the data end soon after {LAST:%Y-%m-%d}; give that"
                " or earlier"
            )
        if self.end - self.start < timedelta(days=2):
            raise OptionsError(
                f"--from {self.start:%Y-%m-%d} --to {self.end:%Y-%m-%d}: give at least two days"
            )
        if self.speed <= 0:
            raise OptionsError(f"--speed {self.speed}: give a number above 0, in days a second")

    @property
    def half_way(self) -> datetime:
        """When a broken model is approved."""
        return self.start + (self.end - self.start) / 2
