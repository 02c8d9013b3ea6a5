"""Batches out of Kafka into a store that remembers what it holds."""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from servicekit.bus import Bus, GroupSession, Message, Positions, Record
from servicekit.clock import Clock, SystemClock
from servicekit.cloudevents import decode, encode
from servicekit.deadletter import dead_letter
from servicekit.errors import UnavailableError
from servicekit.event import Event
from servicekit.loops.backoff import Backoff
from servicekit.telemetry.metrics import DEAD_LETTERS, EVENTS_HANDLED, EVENTS_PUBLISHED

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Received:
    """An event, and where in Kafka it lies."""

    event: Event
    message: Message


class Sink(Protocol):
    """Makes the effects of a batch, once, however often the batch comes."""

    def recover(self) -> Sequence[Event]:
        """Called before the first batch: what may have been written but not published."""
        ...

    def write(self, batch: Sequence[Received]) -> Sequence[Event]:
        """Write the batch idempotently, and return what to publish.

        Raises:
            UnavailableError: the store is away; the same batch comes again.
        """
        ...


class SinkLoop:
    """Feeds a sink: write, publish, commit, in that order, each until it works."""

    def __init__(
        self,
        service: str,
        sink: Sink,
        bus: Bus,
        *,
        topics: Sequence[str],
        member: str = "0",
        clock: Clock | None = None,
        max_batch: int = 5000,
        linger_seconds: float = 0.5,
        backoff: Backoff | None = None,
    ) -> None:
        self.name = f"{service}-{member}"
        self._service = service
        self._sink = sink
        self._session: GroupSession = bus.group(group=service, topics=topics, member=member)
        self._clock = clock or SystemClock()
        self._max_batch = max_batch
        self._linger_seconds = linger_seconds
        self._backoff = backoff or Backoff()
        self.ready = False

    def run(self, stop: threading.Event) -> None:
        """Turn until `stop` is set; an outage is waited out.

        Raises:
            FatalBusError: the process has to be started again.
        """
        try:
            while not stop.is_set():
                try:
                    if not self.ready:
                        self.open()
                    self.step()
                    self._backoff.reset()
                except UnavailableError as error:
                    self._session.rewind()
                    wait = self._backoff.next()
                    log.warning("outage, trying again in %.1f s: %s", wait, error)
                    stop.wait(wait)
        finally:
            self.close()

    def open(self) -> None:
        """Join the group, and publish what an earlier process may have left unsaid."""
        self._session.open()
        self._session.publish([encode(event) for event in self._sink.recover()])
        self.ready = True

    def close(self) -> None:
        """Leave; what was not committed will be read again."""
        self.ready = False
        self._session.close()

    def step(self) -> int:
        """Handle one batch; returns the number of messages in it.

        Raises:
            UnavailableError: the batch has to be read again.
        """
        messages = self._session.poll(self._max_batch, self._linger_seconds)
        if not messages:
            return 0
        received, records = self._decode(messages)
        if received:
            events, dead = self._write(received)
            records += [encode(event) for event in events] + dead
            for event in events:
                EVENTS_PUBLISHED.labels(self._service, event.body.type).inc()
        self._session.publish(records)
        positions: Positions = {(m.topic, m.partition): m.offset + 1 for m in messages}
        self._session.commit(positions)
        return len(messages)

    def _decode(self, messages: Sequence[Message]) -> tuple[list[Received], list[Record]]:
        received: list[Received] = []
        dead: list[Record] = []
        for message in messages:
            try:
                received.append(Received(decode(message), message))
            except Exception as error:
                dead.append(self._dead(message, error))
        return received, dead

    def _write(self, batch: Sequence[Received]) -> tuple[list[Event], list[Record]]:
        try:
            events = list(self._sink.write(batch))
        except UnavailableError:
            raise
        except Exception as error:
            if len(batch) == 1:
                return [], [self._dead(batch[0].message, error)]
            # One event of the batch breaks the sink: halve it until that one is alone.
            log.exception("a batch of %d failed; trying its halves", len(batch))
            middle = len(batch) // 2
            left, left_dead = self._write(batch[:middle])
            right, right_dead = self._write(batch[middle:])
            return left + right, left_dead + right_dead
        for item in batch:
            EVENTS_HANDLED.labels(self._service, item.event.body.type).inc()
        return events, []

    def _dead(self, message: Message, error: Exception) -> Record:
        log.error(
            "dead letter: %s[%d]@%d: %s", message.topic, message.partition, message.offset, error
        )
        DEAD_LETTERS.labels(self._service, type(error).__name__).inc()
        return dead_letter(f"{self._service}.dead", message, error, self._clock.now())
