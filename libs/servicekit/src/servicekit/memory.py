"""A bus in memory: the same promises as Kafka's, with no thread, socket or wait.

It keeps every message, so a test can look at whole topics. What is written is encoded as for Kafka.
"""

import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from heapq import merge
from itertools import islice

from event_schemas import EventBody
from servicekit.bus import Batch, Lag, Message, PartitionOffset, Positions, Record
from servicekit.clock import Clock, FakeClock
from servicekit.cloudevents import decode, encode
from servicekit.errors import (
    FatalBusError,
    ServicekitError,
    TransactionAbortedError,
    UnavailableError,
)
from servicekit.event import Event
from servicekit.start import Start

TopicPartition = tuple[str, int]


class MemoryBus:
    """Topics as lists."""

    def __init__(self, clock: Clock | None = None, partitions: int = 1) -> None:
        self.clock = clock or FakeClock()
        self.partitions = partitions
        self.logs: dict[TopicPartition, list[Message]] = defaultdict(list)
        self.committed: dict[tuple[str, str, int], int] = {}
        """Next offset by group, topic and partition."""
        self.owners: dict[tuple[str, str, int], str | None] = {}
        """The member of a group that has a partition, where a test says it; else each has it."""
        self.aborts = 0
        """How many of the next transactions to abort."""
        self._epochs: dict[str, int] = defaultdict(int)

    def append(self, record: Record) -> Message:
        """Write one record, as a broker would."""
        partition = record.partition
        if partition is None:
            partition = zlib.crc32(record.key or b"") % self.partitions
        log = self.logs[record.topic, partition]
        message = Message(
            record.topic,
            partition,
            len(log),
            record.key,
            record.value,
            record.headers,
            int(self.clock.now().timestamp() * 1000),
        )
        log.append(message)
        return message

    def publish(self, body: EventBody, *, source: str = "/test") -> Event:
        """Publish a body as an event of its own."""
        event = Event(body=body, source=source, time=self.clock.now())
        self.append(encode(event))
        return event

    def messages(self, topic: str) -> list[Message]:
        """All messages of a topic, partition by partition."""
        return [m for (name, _), log in sorted(self.logs.items()) if name == topic for m in log]

    def events(self, body: type[EventBody]) -> list[Event]:
        """All events of a type."""
        return [decode(message) for message in self.messages(body.topic())]

    def transactional(
        self, *, service: str, topics: Sequence[str], slot: int = 0, slots: int = 1
    ) -> "MemoryTransactionalSession":
        """See `Bus.transactional`."""
        return MemoryTransactionalSession(self, service, topics, slot, slots)

    def group(
        self, *, group: str, topics: Sequence[str], member: str | None
    ) -> "MemoryGroupSession":
        """See `Bus.group`."""
        return MemoryGroupSession(self, group, topics, member)

    def sender(self, *, polled: bool = False, patient: bool = False) -> "MemorySender":
        """See `Bus.sender`."""
        return MemorySender(self)

    def view(self, *topics: str) -> "MemoryView":
        """See `Bus.view`."""
        return MemoryView(self, topics)

    def partitions_of(self, topics: Sequence[str]) -> list[TopicPartition]:
        """All partitions of some topics."""
        return [(topic, partition) for topic in topics for partition in range(self.partitions)]

    def epoch(self, identity: str) -> int:
        """A new epoch of an identity: sessions of an older one are fenced."""
        self._epochs[identity] += 1
        return self._epochs[identity]

    def current(self, identity: str, epoch: int) -> bool:
        """Whether the epoch is the identity's newest."""
        return self._epochs[identity] == epoch


class _Reader:
    """Positions in some partitions of the bus."""

    def __init__(self, bus: MemoryBus, group: str, owned: Sequence[TopicPartition]) -> None:
        self._bus = bus
        self._group = group
        self._owned = owned
        self._positions: dict[TopicPartition, int] = {}

    def rewind(self) -> None:
        """See `Session.rewind`."""
        self._positions = {
            (topic, p): self._bus.committed.get((self._group, topic, p), 0)
            for topic, p in self._owned
        }

    def read(self, max_messages: int) -> list[Message]:
        """The next messages of all partitions, the oldest first."""
        batch: list[Message] = []
        if self._owned and not self._positions:
            raise UnavailableError("the session is not open")
        waiting = (self._bus.logs[where][self._positions[where] :] for where in self._owned)
        for message in islice(merge(*waiting, key=lambda m: m.timestamp_ms), max_messages):
            self._positions[message.topic, message.partition] = message.offset + 1
            batch.append(message)
        return batch

    def lag(self) -> Lag:
        """See `Session.lag`."""
        behind: dict[str, int] = defaultdict(int)
        for where, position in self._positions.items():
            behind[where[0]] += len(self._bus.logs[where]) - position
        return behind

    def close(self) -> None:
        """Nothing to leave."""


class _Session(_Reader):
    """Commits offsets of a group, until a newer session of the same identity fences it."""

    def __init__(
        self, bus: MemoryBus, group: str, identity: str, owned: Sequence[TopicPartition]
    ) -> None:
        super().__init__(bus, group, owned)
        self._identity = identity
        self._epoch = 0

    def open(self) -> None:
        """See `Session.open`."""
        self._epoch = self._bus.epoch(self._identity)
        self.rewind()

    def offsets(self, start: Start) -> list[PartitionOffset]:
        """See `Session.offsets`."""
        return [
            PartitionOffset(
                *(topic, partition),
                self._bus.committed.get((self._group, topic, partition)),
                _first(self._bus.logs[topic, partition], start),
            )
            for topic, partition in self._owned
        ]

    def poll(self, max_messages: int, timeout: float) -> list[Message]:
        """See `Session.poll`; never waits."""
        return self.read(max_messages)

    def _check_epoch(self) -> None:
        if not self._bus.current(self._identity, self._epoch):
            raise FatalBusError(f"{self._identity} was fenced by a newer session")

    def _commit(self, positions: Positions) -> None:
        for (topic, partition), offset in positions.items():
            self._bus.committed[self._group, topic, partition] = offset


def _first(log: Sequence[Message], start: Start) -> int:
    if start.at == "earliest":
        return 0
    if start.at == "latest":
        return len(log)
    return next((m.offset for m in log if m.timestamp_ms >= start.milliseconds), len(log))


class MemoryTransactionalSession(_Session):
    """Reads the partitions of a slot; a commit is one step, so it cannot be half done."""

    def __init__(
        self, bus: MemoryBus, service: str, topics: Sequence[str], slot: int, slots: int
    ) -> None:
        owned = [where for where in bus.partitions_of(topics) if where[1] % slots == slot]
        super().__init__(bus, service, f"{service}-{slot}", owned)
        self._state = (f"{service}.state", slot)

    def restore(self) -> Iterator[Message]:
        """See `TransactionalSession.restore`."""
        return iter(list(self._bus.logs[self._state]))

    @property
    def never_committed(self) -> bool:
        """See `TransactionalSession.never_committed`."""
        return not any((self._group, *where) in self._bus.committed for where in self._owned)

    def commit(self, records: Sequence[Record], positions: Positions) -> None:
        """See `TransactionalSession.commit`."""
        self._check_epoch()
        if self._bus.aborts:
            self._bus.aborts -= 1
            raise TransactionAbortedError("the test asked for an abort")
        for record in records:
            self._bus.append(record)
        self._commit(positions)


class MemoryGroupSession(_Session):
    """A member of a group: the only one, unless the bus has `owners`."""

    def __init__(
        self, bus: MemoryBus, group: str, topics: Sequence[str], member: str | None
    ) -> None:
        self._inputs = bus.partitions_of(topics)
        self._member = member
        super().__init__(bus, group, f"{group}/{member}", [])
        self._paused = False
        self._taken_over: set[TopicPartition] = set()

    def open(self) -> None:
        """See `Session.open`."""
        self._owned = []
        self._rebalance()
        super().open()

    def poll(self, max_messages: int, timeout: float) -> list[Message]:
        """See `Session.poll`; never waits."""
        if not self._epoch:
            raise UnavailableError("the session is not open")
        self._rebalance()
        return [] if self._paused else self.read(max_messages)

    def _rebalance(self) -> None:
        """Take over what the owners give to this member, and leave what they give to others."""
        owners, before = self._bus.owners, self._owned
        self._owned = [
            where
            for where in self._inputs
            if owners.get((self._group, *where), self._member) == self._member
        ]
        for where in set(before) - set(self._owned):
            del self._positions[where]
        for where in set(self._owned) - set(before):
            self._positions[where] = self._bus.committed.get((self._group, *where), 0)
            self._taken_over.add(where)

    def taken_over(self) -> set[TopicPartition]:
        """See `GroupSession.taken_over`."""
        taken, self._taken_over = self._taken_over, set()
        return taken

    def publish(self, records: Sequence[Record]) -> None:
        """See `GroupSession.publish`."""
        for record in records:
            self._bus.append(record)

    def commit(self, positions: Positions) -> None:
        """See `GroupSession.commit`."""
        self._check_epoch()
        self._commit(positions)

    def pause(self) -> None:
        """See `GroupSession.pause`."""
        self._paused = True

    def resume(self) -> None:
        """See `GroupSession.resume`."""
        self._paused = False


class MemorySender:
    """Writes at once."""

    def __init__(self, bus: MemoryBus) -> None:
        self._bus = bus

    def send(self, record: Record) -> "Future[None]":
        """See `Sender.send`."""
        self._bus.append(record)
        done: Future[None] = Future()
        done.set_result(None)
        return done

    def send_batch(self, batch: Batch, on_done: Callable[[ServicekitError | None], None]) -> int:
        """See `Sender.send_batch`."""
        for record in batch.split():
            self._bus.append(record)
            on_done(None)
        return len(batch.records)

    def poll(self) -> None:
        """Nothing is ever under way."""

    def close(self, timeout: float) -> int:
        """Everything was delivered."""
        return 0


class MemoryView(_Reader):
    """Follows whole topics."""

    def __init__(self, bus: MemoryBus, topics: Sequence[str]) -> None:
        super().__init__(bus, f"view of {topics}", bus.partitions_of(topics))
        self.rewind()

    def poll(self, timeout: float) -> list[Message]:
        """See `TopicView.poll`; never waits."""
        return self.read(1000)

    @property
    def caught_up(self) -> bool:
        """See `TopicView.caught_up`."""
        return not any(self.lag().values())
