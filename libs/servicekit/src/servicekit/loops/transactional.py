"""Consume, handle, publish: outputs, state and offsets in one transaction."""

import logging
import threading
from collections import Counter

from servicekit.bus import Bus, Message, Record
from servicekit.clock import Clock, SystemClock
from servicekit.cloudevents import decode, encode
from servicekit.deadletter import dead_letter
from servicekit.errors import UnavailableError
from servicekit.event import caused_by
from servicekit.loops.backoff import Backoff
from servicekit.processor import Processor
from servicekit.telemetry.metrics import DEAD_LETTERS, EVENTS_HANDLED, EVENTS_PUBLISHED
from servicekit.telemetry.tracing import handling

log = logging.getLogger(__name__)


class TransactionalLoop:
    """Runs one slot of a processor, exactly once."""

    def __init__(
        self,
        processor: Processor,
        bus: Bus,
        *,
        clock: Clock | None = None,
        slot: int = 0,
        slots: int = 1,
        max_batch: int = 500,
        poll_seconds: float = 0.1,
        backoff: Backoff | None = None,
    ) -> None:
        self.name = f"{processor.service}-{slot}"
        self._processor = processor
        self._clock = clock or SystemClock()
        self._session = bus.transactional(
            service=processor.service, topics=processor.topics, slot=slot, slots=slots
        )
        self._slot = slot
        self._max_batch = max_batch
        self._poll_seconds = poll_seconds
        self._backoff = backoff or Backoff()
        self._handlers = {body.type: handler for body, handler in processor.handlers.items()}
        self._tables = {table.name: table for table in processor.tables}
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
                    wait = self._backoff.next()
                    log.warning("outage, trying again in %.1f s: %s", wait, error)
                    stop.wait(wait)
        finally:
            self.close()

    def open(self) -> None:
        """Take over the slot and read its state."""
        self._session.open()
        for table in self._tables.values():
            table.clear()
        count = 0
        for message in self._session.restore():
            name, _, key = (message.key or b"").decode().partition("/")
            if table := self._tables.get(name):
                table.load(key, message.value)
                count += 1
        log.info("%s restored its state from %d records", self.name, count)
        self.ready = True

    def close(self) -> None:
        """Leave; what was not committed will be read again."""
        self.ready = False
        self._session.close()

    def step(self) -> int:
        """Handle one batch; returns the number of messages in it.

        Raises:
            UnavailableError: nothing happened; the batch will be read again.
        """
        batch = self._session.poll(self._max_batch, self._poll_seconds)
        if not batch:
            return 0
        try:
            records = [record for message in batch for record in self._handle(message)]
            records.extend(self._state_records())
            positions = {(m.topic, m.partition): m.offset + 1 for m in batch}
            self._session.commit(records, positions)
        except UnavailableError:
            for table in self._tables.values():
                table.rollback()
            self._session.rewind()
            raise
        for table in self._tables.values():
            table.settle()
        return len(batch)

    def _handle(self, message: Message) -> list[Record]:
        """The records that a message makes: its outputs, or its dead letter."""
        marks = {name: table.mark() for name, table in self._tables.items()}
        try:
            event = decode(message)
            handler = self._handlers.get(event.body.type)
            if handler is None:
                return []
            counts: Counter[str] = Counter()
            outputs: list[Record] = []
            with handling(event, self._processor.service) as traceparent:
                for body in handler(event):
                    output = caused_by(
                        event,
                        body,
                        index=counts[body.type],
                        source=self._processor.source,
                        time=self._clock.now(),
                        traceparent=traceparent,
                    )
                    counts[body.type] += 1
                    outputs.append(encode(output))
        except UnavailableError:
            raise
        except Exception as error:
            for name, table in self._tables.items():
                table.rollback(marks[name])
            log.exception(
                "dead letter: %s[%d]@%d", message.topic, message.partition, message.offset
            )
            DEAD_LETTERS.labels(self._processor.service, type(error).__name__).inc()
            return [dead_letter(self._processor.dead_topic, message, error, self._clock.now())]
        EVENTS_HANDLED.labels(self._processor.service, event.body.type).inc()
        for event_type, count in counts.items():
            EVENTS_PUBLISHED.labels(self._processor.service, event_type).inc(count)
        return outputs

    def _state_records(self) -> list[Record]:
        return [
            Record(self._processor.state_topic, key.encode(), value, partition=self._slot)
            for table in self._tables.values()
            for key, value in table.changes()
        ]
