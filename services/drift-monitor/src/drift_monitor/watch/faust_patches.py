"""Imports Faust, and changes what it and its client have no setting for."""

import asyncio
import logging
import time
import warnings
from typing import Any

from servicekit.settings import BrokerKind

FETCH_PAUSE_SECONDS = 0.05
"""Between two fetches from the embedded broker; what is new waits so long at most."""
LOG_SECONDS = 10.0
"""Between two errors of one logger of the client, which writes twenty a second in an outage."""


def import_faust(broker: BrokerKind) -> None:
    """Import Faust, river and a codec, and make Faust's consumers fit for this process."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Without it the client reads no message that lz4, snappy or zstd made smaller.
        import cramjam  # noqa: F401  # pyright: ignore[reportMissingImports]
        import faust  # noqa: F401

        # Takes seconds, which the first prediction would spend on the stream's own thread.
        import river.drift  # noqa: F401
    _daemonize_consumers()
    if broker == "embedded":
        _pause_between_fetches()
    for name in ("aiokafka", "aiokafka.consumer.group_coordinator"):
        logging.getLogger(name).addFilter(LogThrottle())
    # What each part of Faust does when it starts and stops.
    for name in ("faust", "mode"):
        logging.getLogger(name).setLevel(logging.WARNING)


def _daemonize_consumers() -> None:
    """Let the process end while a consumer waits for a group that never answers."""
    from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
    from mode.threads import WorkerThread

    class DaemonThread(WorkerThread):
        """A consumer's thread that the process does not wait for."""

        def __init__(self, service: Any, **kwargs: Any) -> None:
            super().__init__(service, **kwargs)
            self.daemon = True

    AIOKafkaConsumerThread.Worker = DaemonThread


def _pause_between_fetches() -> None:
    """Let every consumer of this process wait between two fetches from one broker.

    The embedded broker answers an empty fetch at once (see the kit's `fetch_pause`); the client
    leaves it to the broker to wait for `fetch_max_wait_ms`.
    """
    from aiokafka.consumer.fetcher import Fetcher

    fetch = Fetcher._proc_fetch_request

    async def fetch_and_pause(self: Fetcher, *request: Any) -> bool:
        more = await fetch(self, *request)
        await asyncio.sleep(FETCH_PAUSE_SECONDS)
        return more

    Fetcher._proc_fetch_request = fetch_and_pause  # pyright: ignore[reportAttributeAccessIssue]


class LogThrottle(logging.Filter):
    """Lets one warning or error of a logger pass in `LOG_SECONDS`."""

    def __init__(self) -> None:
        super().__init__()
        self._quiet_until = 0.0

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is logged."""
        now = time.monotonic()
        if record.levelno < logging.WARNING:
            return True
        if now < self._quiet_until:
            return False
        self._quiet_until = now + LOG_SECONDS
        return True
