"""Follows a compacted topic, and knows the newest event of each key."""

import logging
import threading
from collections.abc import Callable
from typing import Any, Generic

from event_schemas import EventBody
from servicekit.bus import Bus, Message, TopicView
from servicekit.cloudevents import decode
from servicekit.errors import UnavailableError
from servicekit.event import B, Event
from servicekit.loops.backoff import Backoff
from servicekit.loops.outages import keep_turning
from servicekit.telemetry.metrics import UNREADABLE

log = logging.getLogger(__name__)


class CompactedView(Generic[B]):
    """The newest event of each key of one topic, kept up to date on a thread of its own.

    `on_change` is called on that thread: for each key once the topic was read to its end, then for
    every change; with None when the key was deleted. When it raises UnavailableError it is called
    again with what is newest then. Any other exception is its bug: it is logged, and the view goes
    on. It is ready once the topic was read and every key that it held was taken, and stays so.
    """

    def __init__(
        self,
        service: str,
        bus: Bus,
        body: type[B],
        on_change: Callable[[str, Event[B] | None], None] | None = None,
        *,
        poll_seconds: float = 0.2,
        backoff: Backoff | None = None,
    ) -> None:
        self.name = f"{service}-{body.topic()}"
        self.ready = False
        self._service = service
        self._bus = bus
        self._body: type[EventBody] = body
        self._on_change = on_change or (lambda key, event: None)
        self._poll_seconds = poll_seconds
        self._backoff = backoff or Backoff()
        self._view: TopicView | None = None
        self._reading: dict[str, Event[Any]] = {}
        """What the view has shown so far."""
        self._taken: dict[str, Event[Any]] = {}
        """What `on_change` has taken."""
        self._pending: dict[str, None] = {}
        """Keys that changed, in the order in which they did."""
        self._caught_up = False

    def get(self, key: str) -> Event[B] | None:
        """The newest event of a key that `on_change` has taken."""
        return self._taken.get(key)

    def items(self) -> list[tuple[str, Event[B]]]:
        """All keys with their newest event."""
        return list(self._taken.items())

    def run(self, stop: threading.Event) -> None:
        """Follow until `stop` is set; an outage is waited out, and then all is read again."""
        try:
            keep_turning(self.name, self.step, stop, self._backoff)
        finally:
            self.ready = False
            self.close()

    def close(self) -> None:
        """Leave; the next step reads the topic from its start."""
        view, self._view = self._view, None
        if view is not None:
            view.close()

    def step(self) -> int:
        """Read what has come and take the changes; returns how many messages there were.

        Raises:
            UnavailableError: the topic cannot be read, or a change could not be taken yet.
        """
        view = self._view or self._start()
        try:
            messages = view.poll(self._poll_seconds)
        except UnavailableError:
            self.close()
            raise
        for message in messages:
            self._note(message)
        if view.caught_up:
            if not self._caught_up:
                self._caught_up = True
                # A key that is in no message any more was deleted while nobody looked.
                self._pending |= dict.fromkeys(self._taken.keys() - self._reading.keys())
            self._take()
            self.ready = True
        return len(messages)

    def _start(self) -> TopicView:
        self._view = self._bus.view(self._body.topic())
        self._reading = {}
        self._caught_up = False
        return self._view

    def _note(self, message: Message) -> None:
        key = (message.key or b"").decode("utf-8", "replace")
        if message.value is None:
            self._reading.pop(key, None)
        else:
            try:
                event = decode(message)
                if not isinstance(event.body, self._body):
                    raise TypeError(f"{event.body.type} does not belong here")
            except Exception:
                # What was known of the key stays; the message itself stays in the topic.
                UNREADABLE.labels(self._service, self._body.topic()).inc()
                log.exception(
                    "cannot read %s[%d]@%d", message.topic, message.partition, message.offset
                )
                return
            self._reading[key] = event
        self._pending[key] = None

    def _take(self) -> None:
        outage: UnavailableError | None = None
        for key in list(self._pending):
            event = self._reading.get(key)
            if event != self._taken.get(key):
                try:
                    self._on_change(key, event)
                except UnavailableError as error:
                    outage = error
                    continue
                except Exception:
                    log.exception("%s: a change of %r was not taken", self.name, key)
                    self._pending.pop(key)
                    continue
            self._pending.pop(key)
            if event is None:
                self._taken.pop(key, None)
            else:
                self._taken[key] = event
        if outage is not None:
            raise outage
