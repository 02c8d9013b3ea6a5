"""Batches out of Kafka into a store that remembers what it holds."""

import logging
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from servicekit.bus import Bus, Message, Positions, Record
from servicekit.clock import Clock
from servicekit.cloudevents import decode, encode
from servicekit.errors import FatalBusError, PoisonMessageError, UnavailableError
from servicekit.event import Event
from servicekit.loops.backoff import Backoff
from servicekit.loops.loop import GroupLoop
from servicekit.loops.outputs import Tally
from servicekit.telemetry.tracing import handling_batch, traced

log = logging.getLogger(__name__)


class Received(NamedTuple):
    """An event, and where in Kafka it lies."""

    event: Event
    message: Message


class Sink(Protocol):
    """Makes the effects of a batch, once, however often the batch comes."""

    def recover(self) -> Sequence[Event]:
        """Called before the first batch: what may have been written but not published."""
        ...

    def taken_over(self, partitions: Collection[tuple[str, int]]) -> None:
        """Forget what is remembered of these topics' partitions: others may have written since."""
        ...

    def write(self, batch: Sequence[Received]) -> Sequence[Event]:
        """Write the batch idempotently, and return what to publish.

        A batch that comes again may be cut differently: what counts is each message, by its offset
        or its event's id.

        Raises:
            UnavailableError: the store is away; the same messages come again.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Written:
    """A batch that is in the store, while its events and positions are not in Kafka."""

    records: list[Record]
    positions: Positions
    tally: Tally
    size: int


class SinkLoop(GroupLoop):
    """Feeds a sink: write, publish, commit, in that order, each until it works.

    Args:
        member: which replica this is; None: one of many, see `Bus.group`.
        linger_seconds: how long a batch that is not full waits for more.
    """

    def __init__(
        self,
        service: str,
        sink: Sink,
        bus: Bus,
        *,
        topics: Sequence[str],
        member: str | None = "0",
        clock: Clock | None = None,
        max_batch: int = 5000,
        poll_seconds: float = 0.5,
        linger_seconds: float = 0.0,
        backoff: Backoff | None = None,
    ) -> None:
        super().__init__(
            service if member is None else f"{service}-{member}",
            bus.group(group=service, topics=topics, member=member),
            service=service,
            poll_seconds=poll_seconds,
            clock=clock,
            backoff=backoff,
        )
        self._sink = sink
        self._max_batch = max_batch
        self._linger_seconds = linger_seconds
        self._written: _Written | None = None

    def _restore(self) -> None:
        """Publish what an earlier process wrote and may not have published."""
        tally = Tally()
        records = self._encode(self._sink.recover(), tally)
        self._session.publish(records)
        tally.report_dead(self._service)

    def step(self) -> int:
        """Handle one batch; returns the number of messages in it.

        Raises:
            UnavailableError: call it again: what was written is published then, else read again.
        """
        try:
            written = self._written or self._write_batch()
            if written is None:
                return 0
            # The store will not say it again, so it is kept until it is said.
            self._written = written
            self._session.publish(written.records)
            self._written = None
            self._session.commit(written.positions)
        except UnavailableError:
            if self._written is None:
                self._rewind()
            raise
        written.tally.report(self._service, written.records)
        return written.size

    def _write_batch(self) -> _Written | None:
        messages = self._poll(self._max_batch, self._poll_seconds)
        if not messages:
            return None
        enough = time.monotonic() + self._linger_seconds
        while len(messages) < self._max_batch and (left := enough - time.monotonic()) > 0:
            messages += self._poll(self._max_batch - len(messages), left)
        if taken := self._session.taken_over():
            self._sink.taken_over(taken)
        tally = Tally()
        received: list[Received] = []
        records: list[Record] = []
        for message in messages:
            try:
                received.append(Received(decode(message), message))
            except Exception as error:
                records.append(self._dead_letter(message, error, tally))
        if received:
            records += self._write(received, tally)
        positions = {(m.topic, m.partition): m.offset + 1 for m in messages}
        return _Written(records, positions, tally, len(messages))

    def _write(self, batch: Sequence[Received], tally: Tally) -> list[Record]:
        try:
            with handling_batch([item.event for item in batch], self._service):
                events = traced(self._sink.write(batch))
        except (UnavailableError, FatalBusError):
            raise
        except Exception as error:
            if len(batch) == 1:
                return [self._dead_letter(batch[0].message, error, tally)]
            # One event of the batch breaks the sink: halve it until that one is alone.
            log.exception("a batch of %d failed; trying its halves", len(batch))
            middle = len(batch) // 2
            return self._write(batch[:middle], tally) + self._write(batch[middle:], tally)
        tally.handled.update(item.event.body.type for item in batch)
        return self._encode(events, tally)

    def _encode(self, events: Sequence[Event], tally: Tally) -> list[Record]:
        """The records of events whose effects are made already.

        One that no topic takes is counted and left out: nothing can undo its effect, and to try
        again would end in the same error for ever.
        """
        records: list[Record] = []
        for event in events:
            try:
                records.append(encode(event))
            except (PoisonMessageError, ValueError) as error:
                log.error("%s %s is not published: %s", event.body.type, event.id, error)
                tally.dead[type(error).__name__] += 1
        return records
