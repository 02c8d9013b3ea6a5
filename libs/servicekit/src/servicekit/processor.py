"""What a service does with events: handlers, and the tables that they keep."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from event_schemas import EventBody
from servicekit.event import Event
from servicekit.table import Table

Handler = Callable[[Event[Any]], Iterable[EventBody]]
"""Takes an event and yields events; it cannot publish."""


@dataclass(frozen=True)
class Processor:
    """The Kafka-to-Kafka part of a service, without Kafka."""

    service: str
    """Consumer group, and prefix of the state and dead-letter topics."""
    handlers: Mapping[type[EventBody], Handler]
    tables: Sequence[Table[Any]] = field(default=())
    measure: Callable[[], None] = lambda: None
    """Sets gauges from the tables: called when they were restored, and after each commit."""

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
