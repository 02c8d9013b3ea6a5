"""Turns a loop until it is told to stop, and waits outages out."""

import logging
import threading
from collections.abc import Callable

from servicekit.errors import UnavailableError
from servicekit.loops.backoff import Backoff
from servicekit.telemetry.metrics import OUTAGES

log = logging.getLogger(__name__)


def keep_turning(
    name: str, turn: Callable[[], object], stop: threading.Event, backoff: Backoff
) -> None:
    """Call `turn` until `stop` is set; after an UnavailableError, wait and call it again.

    Every other exception comes through, and ends the process.
    """
    while not stop.is_set():
        try:
            turn()
        except UnavailableError as error:
            OUTAGES.labels(name).inc()
            wait = backoff.next()
            log.warning("%s: outage, trying again in %.1f s: %s", name, wait, error)
            stop.wait(wait)
        else:
            backoff.reset()
