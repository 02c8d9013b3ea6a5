"""An event: a body, and the envelope that says where it comes from."""

from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha1
from typing import Generic, TypeVar
from uuid import UUID, uuid4

from event_schemas import EventBody
from servicekit.errors import TooManyHopsError

B = TypeVar("B", bound=EventBody, covariant=True)

NAMESPACE = UUID("5f0d1d0e-3b6a-5c0b-9a55-7a1f0e2c6d11")
"""Of all event ids that are derived."""

MAX_HOPS = 100
"""Longest chain of causes; a turn of the loop takes about ten."""


def derived_id(cause: str, event_type: str, index: int = 0) -> str:
    """The id of the `index`-th event of a type that a cause makes.

    It is the same however often the cause is handled, so that a repeated effect is recognised.
    """
    # The uuid5 of RFC 9562, section 5.5; made by hand, since uuid.uuid5 takes four times as long.
    name = NAMESPACE.bytes + f"{cause}|{event_type}|{index}".encode()
    d = sha1(name, usedforsecurity=False).hexdigest()
    return f"{d[:8]}-{d[8:12]}-5{d[13:16]}-{'89ab'[int(d[16], 16) & 3]}{d[17:20]}-{d[20:32]}"


@dataclass(frozen=True, slots=True)
class Event(Generic[B]):
    """A body in its CloudEvents envelope."""

    body: B
    source: str
    """The service, e.g. `/tailrace/trainer`."""
    time: datetime
    """Wall time at which it was made."""
    id: str = field(default_factory=lambda: str(uuid4()))
    causation_id: str | None = None
    """Id of the event that caused this one."""
    correlation_id: str = ""
    """The turn of the loop; empty at its start, where the event's own id serves."""
    hops: int = 0
    """Length of the chain of causes."""
    traceparent: str | None = None
    """W3C trace context."""

    @property
    def turn(self) -> str:
        """The correlation id of the turn of the loop that this event belongs to."""
        return self.correlation_id or self.id


def caused_by(
    cause: Event,
    body: B,
    *,
    index: int,
    source: str,
    time: datetime,
    traceparent: str | None = None,
) -> Event[B]:
    """Wrap what a handler yielded, as the `index`-th event of its type that the cause made.

    Raises:
        TooManyHopsError: when the chain of causes is longer than `MAX_HOPS`.
    """
    if cause.hops >= MAX_HOPS:
        raise TooManyHopsError(
            f"{body.type} would be hop {cause.hops + 1} of turn {cause.turn}, more than {MAX_HOPS}:"
            " events cause each other in a circle; break it where an event causes its own cause"
        )
    return Event(
        body=body,
        source=source,
        time=time,
        id=derived_id(cause.id, body.type, index),
        causation_id=cause.id,
        correlation_id=cause.turn,
        hops=cause.hops + 1,
        traceparent=traceparent or cause.traceparent,
    )
