"""Reads whole topics once, from their start to their end."""

import logging
import time
from collections.abc import Iterator

from servicekit.bus import Bus, Message
from servicekit.cloudevents import decode
from servicekit.errors import PoisonMessageError, UnavailableError
from servicekit.event import Event
from servicekit.telemetry.metrics import UNREADABLE

log = logging.getLogger(__name__)


def read_to_end(bus: Bus, *topics: str, seconds: float = 60.0) -> Iterator[Message]:
    """Yield every message that was there at the start.

    Raises:
        UnavailableError: no message came for so many seconds, or the brokers are away.
    """
    view, deadline = bus.view(*topics), time.monotonic() + seconds
    try:
        while True:
            messages = view.poll(0.2)
            yield from messages
            if view.caught_up:  # not before the first poll, which connects
                return
            if messages:
                deadline = time.monotonic() + seconds
            elif time.monotonic() > deadline:
                raise UnavailableError(
                    f"{', '.join(topics)}: not read to the end, nothing came for {seconds:g} s"
                )
    finally:
        view.close()


def read_events(
    service: str, bus: Bus, topic: str, *, seconds: float = 60.0
) -> Iterator[tuple[str, Event | None]]:
    """Yield the key and the event of every message; None deletes its key.

    What cannot be read is counted for the service, logged, and passed over.

    Raises:
        UnavailableError: see `read_to_end`.
    """
    for message in read_to_end(bus, topic, seconds=seconds):
        try:
            yield key_of(message), None if message.value is None else decode(message)
        except PoisonMessageError as error:
            report_unreadable(service, message, error)


def key_of(message: Message) -> str:
    """The key of a message as text."""
    return (message.key or b"").decode("utf-8", "replace")


def report_unreadable(service: str, message: Message, error: Exception) -> None:
    """Count and log a message that a reader of its topic passes over."""
    UNREADABLE.labels(service, message.topic).inc()
    log.error("cannot read %s[%d]@%d: %s", message.topic, message.partition, message.offset, error)
