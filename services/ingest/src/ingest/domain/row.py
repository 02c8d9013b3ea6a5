"""A row on its way into a table, and where in the topic it came from."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Origin:
    """A message's place in the topic."""

    partition: int
    offset: int
    made_ms: int
    """Wall time at which it was produced, in milliseconds since 1970; 0 when nobody knows."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a lake table: what every table has, and the columns of its own."""

    event_id: str
    entity: str
    event_time: datetime
    columns: dict[str, Any]
    origin: Origin
