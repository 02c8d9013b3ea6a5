"""What `run` asks of a process that shares its port with others; the predictor forks such."""

import socket
from typing import Protocol

from prometheus_client import CollectorRegistry


class Worker(Protocol):
    """One of several processes behind a port."""

    def listener(self) -> socket.socket:
        """Return a socket of its own on the shared port; it does not listen yet."""
        ...

    def report(self, *, listening: bool, ready: bool) -> None:
        """Report its state; called so often that silence means that the event loop hangs."""
        ...

    def registry(self) -> CollectorRegistry:
        """Return the metrics of all workers."""
        ...

    @property
    def others_answer(self) -> bool:
        """Whether another worker takes connections and is ready."""
        ...

    @property
    def unready(self) -> list[str]:
        """The other workers that take connections and are not ready, by name."""
        ...
