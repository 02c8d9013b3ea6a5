"""What workers and their supervisor know of each other: some numbers in memory that they share."""

import mmap
import struct
from dataclasses import dataclass

_SLOT = struct.Struct("=qdqq")


@dataclass(frozen=True, slots=True)
class Notice:
    """What one worker last said of itself.

    Attributes:
        pid: 0 where there is no such worker now.
        beat: `time.monotonic()` of its event loop's last sign of life; 0 before the first.
        listening: Whether it takes connections.
        ready: Whether all its components are.
    """

    pid: int = 0
    beat: float = 0.0
    listening: bool = False
    ready: bool = False


class Board:
    """One notice a worker; made before the workers are forked, it is the same memory in all."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._memory = mmap.mmap(-1, workers * _SLOT.size)

    def write(self, worker: int, notice: Notice) -> None:
        """Put a notice in a worker's place; an empty one takes it away."""
        _SLOT.pack_into(
            self._memory,
            worker * _SLOT.size,
            *(notice.pid, notice.beat, notice.listening, notice.ready),
        )

    def read(self) -> list[Notice]:
        """All notices, by the worker's number."""
        return [
            Notice(pid, beat, bool(listening), bool(ready))
            for pid, beat, listening, ready in _SLOT.iter_unpack(self._memory[:])
        ]
