"""Shows people how far a long run is."""

import sys
import time
from collections.abc import Callable
from typing import TextIO

from predictor.batch.job import Progress

EVERY_SECONDS = 2.0


class ProgressLine:
    """A line on standard error every two seconds; on a terminal always the same one."""

    def __init__(self, to: TextIO | None = None, now: Callable[[], float] = time.monotonic) -> None:
        self._to = to or sys.stderr
        self._now = now
        self._began = now()
        self._next = self._began + EVERY_SECONDS

    def show(self, progress: Progress) -> None:
        """Print how far it is, unless that was printed a moment ago."""
        now = self._now()
        if now < self._next:
            return
        self._next = now + EVERY_SECONDS
        end = "\r" if self._to.isatty() else "\n"
        print(self.text(progress), end=end, file=self._to, flush=True)

    def text(self, progress: Progress) -> str:
        """E.g. `120,000 of 336,776 rows (35 %), 41,000/s, 5 s left`."""
        rate = progress.done / max(self._now() - self._began, 1e-9)
        share = 100 * progress.done // max(progress.total, 1)
        left = (progress.total - progress.done) / max(rate, 1e-9)
        return (
            f"{progress.done:,} of {progress.total:,} rows ({share} %), {rate:,.0f}/s,"
            f" {left:.0f} s left"
        )
