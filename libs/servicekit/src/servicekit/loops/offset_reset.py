"""Sets where a loop goes on reading, once, when a person asks for it."""

from collections.abc import Sequence
from dataclasses import dataclass

from servicekit.bus import PartitionOffset
from servicekit.start import Start


@dataclass(frozen=True, slots=True)
class OffsetReset:
    """What is asked for."""

    start: Start
    reset_state: bool = False
    """Whether state that was counted from the topics is forgotten with it."""


@dataclass(frozen=True, slots=True)
class ResetReport:
    """What was done."""

    loop: str
    offsets: Sequence[PartitionOffset]
    forgotten: int = 0
    """Keys of the state."""
