"""Runs a service: its HTTP server on the main thread, each loop on a thread of its own."""

import threading
from collections.abc import Sequence
from typing import Protocol

from fastapi import FastAPI

from servicekit.settings import ServiceSettings


class Component(Protocol):
    """Something that runs until it is told to stop; the loops are components."""

    name: str
    ready: bool
    """Whether it can do its work now; all together make /readyz."""

    def run(self, stop: threading.Event) -> None:
        """Run until `stop` is set; an exception ends the whole process with exit code 1."""
        ...


def run(
    service: str,
    settings: ServiceSettings,
    components: Sequence[Component],
    api: FastAPI | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then drain.

    `api` (default: an empty one) gets /livez, /readyz and /metrics. Components start with the
    server and stop, all told at once, after the last HTTP request was answered.
    """
    raise NotImplementedError
