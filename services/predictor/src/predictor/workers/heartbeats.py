"""What workers and their supervisor know of each other, in memory that they share."""

import mmap
import struct
from dataclasses import dataclass

_SLOT = struct.Struct("=qdqq")


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What one worker last reported.

    Attributes:
        pid: 0 where there is no such worker now.
        time: `time.monotonic()` of the event loop's last report; 0 before the first.
        listening: Whether it takes connections.
        ready: Whether all its components are.
    """

    pid: int = 0
    time: float = 0.0
    listening: bool = False
    ready: bool = False


class Heartbeats:
    """The last heartbeat of each worker; made before the fork, it is the same memory in all."""

    def __init__(self, workers: int) -> None:
        self._memory = mmap.mmap(-1, workers * _SLOT.size)

    def write(self, worker: int, heartbeat: Heartbeat) -> None:
        """Replace a worker's heartbeat; an empty one removes it."""
        _SLOT.pack_into(
            self._memory,
            worker * _SLOT.size,
            *(heartbeat.pid, heartbeat.time, heartbeat.listening, heartbeat.ready),
        )

    def read(self) -> list[Heartbeat]:
        """Return all heartbeats, by the worker's number."""
        return [
            Heartbeat(pid, time, bool(listening), bool(ready))
            for pid, time, listening, ready in _SLOT.iter_unpack(self._memory[:])
        ]
