"""How often a part may be restarted; circus asks before each start (its hook `before_spawn`)."""

import time
from pathlib import Path
from typing import Any

from circus import logger

MOST_STARTS = 6
WINDOW = 120.0
"""Seconds: a part that starts for the seventh time within it is left alone."""


def allow_start(watcher: Any, **_: Any) -> bool:
    """Whether the watcher may start its process once more; a `False` stops it for good."""
    starts = Path(dict(watcher.options())["starts_file"])
    now = time.time()
    if gave_up(starts, now):
        logger.error(
            "%s: %d starts within %g s, giving up: see its log", watcher.name, MOST_STARTS, WINDOW
        )
        return False
    with starts.open("a") as file:
        file.write(f"{now:.3f}\n")
    return True


def gave_up(starts: Path, now: float) -> bool:
    """Whether the starts written in a file forbid another one at `now` (Unix seconds)."""
    return sum(now - start < WINDOW for start in times(starts)) >= MOST_STARTS


def times(starts: Path) -> list[float]:
    """Unix times in seconds of the starts so far."""
    try:
        return [float(line) for line in starts.read_text().split()]
    except FileNotFoundError:
        return []
