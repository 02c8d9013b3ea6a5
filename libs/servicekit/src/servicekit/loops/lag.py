"""Tells Prometheus how far a loop is behind."""

import time
from typing import Protocol

from servicekit.bus import Lag
from servicekit.telemetry.metrics import CONSUMER_LAG

EVERY_SECONDS = 2.0


class Lagging(Protocol):
    """A session that knows how much it has yet to read."""

    def lag(self) -> Lag:
        """See `GroupSession.lag`."""
        ...


class LagGauge:
    """Asked once a turn, on the thread that owns the session; looks once in a while."""

    def __init__(self, group: str, session: Lagging) -> None:
        self._group = group
        self._session = session
        self._next = 0.0

    def look(self) -> None:
        """Set the gauge, unless it was set a moment ago."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + EVERY_SECONDS
        for topic, behind in self._session.lag().items():
            CONSUMER_LAG.labels(self._group, topic).set(behind)
