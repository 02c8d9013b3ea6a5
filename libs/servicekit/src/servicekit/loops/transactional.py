"""Consume, handle, publish: outputs, state and offsets in one transaction."""

import logging
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from servicekit.bus import (
    MAX_VALUE_BYTES,
    Bus,
    Message,
    PartitionOffset,
    Positions,
    Record,
    TransactionalSession,
)
from servicekit.clock import Clock
from servicekit.cloudevents import decode
from servicekit.errors import (
    FatalBusError,
    RefusedResetError,
    TooLargeError,
    TransactionAbortedError,
    UnavailableError,
)
from servicekit.loops.backoff import Backoff
from servicekit.loops.loop import SessionLoop
from servicekit.loops.outputs import Tally, handle
from servicekit.processor import Due, Processor
from servicekit.telemetry.committed import collecting

log = logging.getLogger(__name__)

FORMAT_KEY = b"format/number"
"""Of the record that says the format of a slot's state; no table has the name."""

LOOK = timedelta(seconds=5)
"""How often the processor is asked what is due."""


class TransactionalLoop(SessionLoop[TransactionalSession]):
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
        service = processor.service
        super().__init__(
            f"{service}-{slot}",
            bus.transactional(service=service, topics=processor.topics, slot=slot, slots=slots),
            service=service,
            poll_seconds=poll_seconds,
            clock=clock,
            backoff=backoff,
        )
        self._processor = processor
        self._slot = slot
        self._max_batch = max_batch
        self._handlers = {body.type: handler for body, handler in processor.handlers.items()}
        self._tables = {table.name: table for table in processor.tables}
        self._next_look = datetime.min.replace(tzinfo=UTC)
        self._owed: list[Record] = []
        """What a start has to say in the state's topic, until it is committed with a batch."""

    def _restore(self) -> None:
        """Read the slot's state.

        Raises:
            FatalBusError: this version of the service cannot read it.
        """
        for table in self._tables.values():
            table.clear()
        count, written_in = 0, None
        for message in self._session.restore():
            if message.key == FORMAT_KEY:
                written_in = message.value
                self._require_known(written_in)
                continue
            name, _, key = (message.key or b"").decode().partition("/")
            # An empty table is false, so it is asked for by identity.
            if (table := self._tables.get(name)) is not None:
                try:
                    table.load(key, message.value)
                except Exception as error:
                    raise FatalBusError(
                        f"{message.topic}[{message.partition}]@{message.offset}: this version"
                        f" cannot read {key!r} of table {name!r}: {error}; run the version that"
                        " wrote it, or give the changed field a default"
                    ) from error
                count += 1
        own = str(self._processor.state_format).encode()
        self._owed = [] if written_in == own else [self._state_record(FORMAT_KEY, own)]
        self._rebuild()
        if count and self._session.never_committed:
            raise FatalBusError(
                f"{self.name} has a state in {self._processor.state_topic}, and the brokers no"
                " longer know how far it had read (offsets.retention.minutes is how long they"
                " remember): from the start of its topics it would count twice; say where to go on"
                " with --from, and with --reset-state if that is before the end"
            )
        log.info("%s restored its state from %d records", self.name, count)
        self._processor.measure()

    def _require_known(self, written_in: bytes | None) -> None:
        """Raise FatalBusError when a later release wrote the state, in a format of its own."""
        own, text = self._processor.state_format, (written_in or b"0").decode("utf-8", "replace")
        if not text.isdecimal() or int(text) > own:
            raise FatalBusError(
                f"{self.name}: {self._processor.state_topic} has the format {text[:20]}, and this"
                f" release knows those up to {own}: run the release that wrote it, or a later one"
            )

    def _rebuild(self) -> None:
        """Make a state that was lost, or that a reset forgot, of what the service has published."""
        if self._processor.rebuild is None or any(map(len, self._tables.values())):
            return
        self._processor.rebuild()
        rebuilt = self._state_records()
        self._owed += rebuilt
        for table in self._tables.values():
            table.settle()
        if rebuilt:
            log.warning(
                "%s found no state in %s, and rebuilt %d values from what was published",
                *(self.name, self._processor.state_topic, len(rebuilt)),
            )

    def _commit_reset(self, offsets: Sequence[PartitionOffset], *, reset_state: bool) -> int:
        """Forget the state in the same transaction.

        A process that has the slot is fenced by it, and starts anew from the new offsets.

        Raises:
            RefusedResetError: it would count again what the state holds.
        """
        keys: dict[bytes, None] = {}
        for message in self._session.restore():
            key = message.key or b""
            if key == FORMAT_KEY:
                continue
            if message.value is None:
                keys.pop(key, None)
            else:
                keys[key] = None
        state_topic = self._processor.state_topic
        # Who has a state has read something: an offset that is lost says nothing about how much.
        back = [o for o in offsets if o.committed is None or o.target < o.committed]
        if keys and back and not reset_state:
            where = ", ".join(f"{o.topic}[{o.partition}]" for o in back)
            raise RefusedResetError(
                f"{self.name}: {state_topic} holds what was counted from {where}, which would be"
                " counted again: add --reset-state to forget it in the same step"
            )
        forgotten = list(keys) if reset_state else []
        self._session.commit(
            [self._state_record(key, None) for key in forgotten],
            {(o.topic, o.partition): o.target for o in offsets},
        )
        return len(forgotten)

    def step(self) -> int:
        """Handle one batch, or where there is none, what is due; returns the messages in it.

        Raises:
            UnavailableError: nothing happened; the batch will be read again.
        """
        try:
            batch = self._poll(self._max_batch, self._poll_seconds)
            tally = Tally()
            with collecting(tally.on_commit):
                records = self._handle_all(batch, tally) if batch else self._handle_due(tally)
        except UnavailableError:
            self._undo()
            raise
        if batch or records:
            positions = {(m.topic, m.partition): m.offset + 1 for m in batch}
            self._commit(records, positions, tally)
        return len(batch)

    def _commit(self, records: list[Record], positions: Positions, tally: Tally) -> None:
        try:
            self._session.commit([*self._owed, *records], positions)
        except TransactionAbortedError:
            self._undo()
            raise
        except UnavailableError:
            # Nobody knows whether the transaction happened: only the topics do.
            self.ready = False
            raise
        for table in self._tables.values():
            table.settle()
        self._owed = []
        self._processor.measure()
        tally.report(self._service, records)

    def _undo(self) -> None:
        for table in self._tables.values():
            table.rollback()
        self._rewind()

    def _handle_all(self, batch: Sequence[Message], tally: Tally) -> list[Record]:
        """The records that a batch makes: outputs, dead letters and changes of state."""
        records = [record for message in batch for record in self._handle(message, tally)]
        try:
            return records + self._state_records()
        except Exception:
            # Some message left a value in a table that cannot be written. To find it, the state is
            # written after each message; a batch normally writes a key once, however often it
            # changes.
            log.exception("%s: a value of the state cannot be written", self.name)
            for table in self._tables.values():
                table.rollback()
            tally.handled.clear()
            tally.dead.clear()
            tally.on_commit.clear()
            return [
                record for message in batch for record in self._handle(message, tally, check=True)
            ] + self._state_records()

    def _handle_due(self, tally: Tally) -> list[Record]:
        """The records that wall time makes; what fails is logged, and tried again."""
        now = self._clock.now()
        if now < self._next_look:
            return []
        self._next_look = now + LOOK
        outputs: list[Record] = []
        for event, handler in self._due(now):
            marks = [(table, table.mark()) for table in self._tables.values()]
            callbacks = len(tally.on_commit)
            try:
                outputs += handle(event, handler, service=self._service, clock=self._clock)
            except (UnavailableError, FatalBusError):
                raise
            except Exception:
                log.exception("%s: what is due by %s failed", self.name, event.id)
                for table, mark in marks:
                    table.rollback(mark)
                del tally.on_commit[callbacks:]
        return outputs + self._state_records()

    def _due(self, now: datetime) -> Iterator[Due]:
        try:
            yield from self._processor.due(now)
        except Exception:
            log.exception("%s: what is due cannot be said", self.name)

    def _handle(self, message: Message, tally: Tally, check: bool = False) -> list[Record]:
        """The records that a message makes: its outputs, or its dead letter."""
        marks = [(table, table.mark()) for table in self._tables.values()]
        callbacks = len(tally.on_commit)
        try:
            event = decode(message)
            handler = self._handlers.get(event.body.type)
            if handler is None:
                return []
            outputs = handle(event, handler, service=self._service, clock=self._clock)
            if check:
                self._state_records()
        except (UnavailableError, FatalBusError):
            raise
        except Exception as error:
            for table, mark in marks:
                table.rollback(mark)
            del tally.on_commit[callbacks:]
            return [self._dead_letter(message, error, tally)]
        tally.handled[event.body.type] += 1
        return outputs

    def _state_records(self) -> list[Record]:
        records = []
        for table in self._tables.values():
            for key, value in table.changes():
                if value is not None and len(value) > MAX_VALUE_BYTES:
                    raise TooLargeError(
                        f"{key!r} of table {table.name!r} would take {len(value)} bytes, more than"
                        f" {MAX_VALUE_BYTES}: keep it under several keys"
                    )
                records.append(self._state_record(key.encode(), value))
        return records

    def _state_record(self, key: bytes, value: bytes | None) -> Record:
        return Record(self._processor.state_topic, key, value, partition=self._slot)
