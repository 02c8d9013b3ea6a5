"""What a service does with events: handlers, and the tables that they keep."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from event_schemas import EventBody
from servicekit.event import Event
from servicekit.table import Table

Handler = Callable[[Event[Any]], Iterable[EventBody]]
"""Takes an event and yields events; it cannot publish."""

Due = tuple[Event[Any], Handler]
"""What wall time alone brings about: an event that nobody sent, and its handler."""


@dataclass(frozen=True)
class Processor:
    """The Kafka-to-Kafka part of a service, without Kafka."""

    service: str
    """Consumer group, and prefix of the state and dead-letter topics."""
    handlers: Mapping[type[EventBody], Handler]
    tables: Sequence[Table[Any]] = field(default=())
    measure: Callable[[], None] = lambda: None
    """Sets gauges from the tables: called when they were restored, and after each commit."""

    due: Callable[[datetime], Iterable[Due]] = lambda now: ()
    """What is due at a wall time: asked every few seconds while nothing waits to be read, so that
    a backlog is read before anybody is found to be late. The id of each event says what is due."""

    state_format: int = 1
    """Raised with a change of the tables that an earlier release would read wrongly. It lies in the
    state itself, and a release refuses a state whose format is newer than its own."""

    rebuild: Callable[[], None] | None = None
    """Fills the tables from what the service has published: called where the topic of the state
    holds nothing, before anything is read. What it puts is committed with the first batch."""

    @property
    def topics(self) -> list[str]:
        """The topics to read."""
        return [body.topic() for body in self.handlers]

    @property
    def state_topic(self) -> str:
        """The compacted topic of the tables."""
        return f"{self.service}.state"

    @property
    def dead_topic(self) -> str:
        """Where messages go that cannot be handled."""
        return f"{self.service}.dead"
