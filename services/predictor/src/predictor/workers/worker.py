"""A forked worker, and what workers and their supervisor know of each other."""

import mmap
import os
import signal
import socket
import struct
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from predictor.workers.shared_metrics import registry_of, set_observed
from servicekit.listening import share

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

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


class ForkedWorker:
    """See `Worker`.

    Args:
        number: From 0; a worker that takes another's place has its number.
        heartbeats: Of all workers.
        reserved: From `listening.reserve`.
    """

    def __init__(self, number: int, heartbeats: Heartbeats, reserved: socket.socket) -> None:
        self.number = number
        self._heartbeats = heartbeats
        self._reserved = reserved

    def listener(self) -> socket.socket:
        """See `Worker.listener`."""
        return share(self._reserved)

    def report(self, *, listening: bool, ready: bool) -> None:
        """See `Worker.report`."""
        set_observed()
        now = time.monotonic()
        self._heartbeats.write(self.number, Heartbeat(os.getpid(), now, listening, ready))

    def registry(self) -> "CollectorRegistry":
        """See `Worker.registry`."""
        return registry_of(lambda: [each.pid for each in self._heartbeats.read() if each.pid])

    @property
    def others_answer(self) -> bool:
        """See `Worker.others_answer`."""
        return any(each.listening and each.ready for _, each in self._others())

    @property
    def unready(self) -> list[str]:
        """See `Worker.unready`."""
        return [
            f"worker-{number}"
            for number, each in self._others()
            if each.listening and not each.ready
        ]

    def _others(self) -> list[tuple[int, Heartbeat]]:
        heartbeats = enumerate(self._heartbeats.read())
        return [(number, each) for number, each in heartbeats if number != self.number]


def stop_with_parent(lifeline: int) -> None:
    """Tell this process to stop when the process at the other end of a pipe has ended.

    Args:
        lifeline: A file descriptor to read from; nobody ever writes to the other end.
    """

    def wait() -> None:
        os.read(lifeline, 1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="parent-watch", daemon=True).start()
