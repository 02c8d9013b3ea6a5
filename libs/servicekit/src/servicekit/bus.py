"""What a service needs of a message bus; Kafka and the in-memory bus both give it."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from servicekit.errors import ServicekitError
from servicekit.start import Start

Headers = tuple[tuple[str, bytes], ...]
Positions = Mapping[tuple[str, int], int]
"""Next offset to read, by topic and partition."""
Lag = Mapping[str, int]
"""Records that wait to be read, by topic."""

MAX_VALUE_BYTES = 1_000_000
"""Largest value: Kafka takes 1,048,588 bytes with key and headers, unless configured otherwise."""


class Record(NamedTuple):
    """A message on its way out; a value of None deletes the key of a compacted topic."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    partition: int | None = None


@dataclass(frozen=True, slots=True)
class Batch:
    """Records of one topic on their way out together, with what they share said once."""

    topic: str
    headers: Headers
    """Of every record, before its own."""
    records: Sequence[tuple[bytes | None, bytes | None, Headers]]
    """Key, value and own headers of each, in their order."""

    def split(self) -> Iterator[Record]:
        """The records one by one."""
        for key, value, headers in self.records:
            yield Record(self.topic, key, value, (*self.headers, *headers))


class Message(NamedTuple):
    """A message as it was read.

    It and `Record` are tuples since one is made for every event, and a frozen dataclass takes three
    times as long to make.
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    timestamp_ms: int = 0


@dataclass(frozen=True, slots=True)
class PartitionOffset:
    """Where a reader goes on in a partition, and where a start would be."""

    topic: str
    partition: int
    committed: int | None
    """Next offset that it reads; None when it has never committed one."""
    target: int
    """First offset of the start."""


class Session(Protocol):
    """Reads partitions, and commits how far it came."""

    def open(self) -> None:
        """Take the partitions over, and stand at the committed offsets.

        A transactional session fences an older one of its slot. It may be called again, after an
        outage.

        Raises:
            UnavailableError: open again later.
        """
        ...

    def offsets(self, start: Start) -> Sequence[PartitionOffset]:
        """Where the reader stands in each of its partitions, and where a start is; reads nothing.

        Raises:
            UnavailableError: ask again later; or other members of the group are at work.
        """
        ...

    def poll(self, max_messages: int, timeout: float) -> list[Message]:
        """Up to `max_messages`; after `timeout` seconds what has come, maybe nothing."""
        ...

    def rewind(self) -> None:
        """Go back to what was handed out first of all that is not committed.

        Raises:
            UnavailableError: open the session again instead.
        """
        ...

    def lag(self) -> Lag:
        """Records that wait in each topic, as far as the session knows; asks nobody.

        Only partitions that something was read from count. Called by the thread that polls.
        """
        ...

    def close(self) -> None:
        """Leave; safe to call twice."""
        ...


class TransactionalSession(Session, Protocol):
    """Reads partitions that belong to one slot and writes with their offsets in one transaction."""

    def restore(self) -> Iterator[Message]:
        """The slot's partition of the state topic, from its start to its end."""
        ...

    @property
    def never_committed(self) -> bool:
        """Whether no partition of the slot had a committed offset when the session was opened."""
        ...

    def commit(self, records: Sequence[Record], positions: Positions) -> None:
        """Publish the records and the positions together, or neither.

        Raises:
            TransactionAbortedError: nothing was published; `rewind` and read again.
            UnavailableError: nobody knows whether it was published; `open` again to learn it.
            FatalBusError: the session was fenced or cannot go on.
        """
        ...


class GroupSession(Session, Protocol):
    """Reads as a static member of a consumer group, for effects that leave Kafka."""

    def publish(self, records: Sequence[Record]) -> None:
        """Publish all, and return when the broker has acknowledged each.

        Raises:
            UnavailableError: some were not acknowledged; publish all of them again.
        """
        ...

    def commit(self, positions: Positions) -> None:
        """Record that everything before the positions is done.

        Raises:
            UnavailableError: not recorded; the messages may come again.
        """
        ...

    def taken_over(self) -> Collection[tuple[str, int]]:
        """Topic and partition of what was assigned since the last call; asks nobody.

        Other members may have had them in between: what is remembered of them is old.
        """
        ...

    def pause(self) -> None:
        """Hand out no messages, but stay in the group while `poll` is called."""
        ...

    def resume(self) -> None:
        """Hand out messages again."""
        ...


class Sender(Protocol):
    """Sends from anywhere, without blocking."""

    def send(self, record: Record) -> "Future[None]":
        """Queue a record; the future ends when the broker has acknowledged it.

        Raises:
            OverloadedError: the queue is full.
        """
        ...

    def send_batch(self, batch: Batch, on_done: Callable[[ServicekitError | None], None]) -> int:
        """Queue records in their order, at less cost than one by one.

        Args:
            batch: the records.
            on_done: called once for each record that was queued: with None when the broker has
                acknowledged it, else with why it has not.

        Returns:
            How many were queued, from the first on: fewer when the queue is full.
        """
        ...

    def poll(self) -> None:
        """Take the acknowledgements that have come; does not wait.

        Only a polled sender needs it, from one thread at a time: it calls `on_done` in here.
        """
        ...

    def close(self, timeout: float) -> int:
        """Flush for at most `timeout` seconds; returns how many records were not delivered."""
        ...


class TopicView(Protocol):
    """Follows all partitions of a topic from its start, without a group."""

    def poll(self, timeout: float) -> list[Message]:
        """The next messages, maybe none."""
        ...

    @property
    def caught_up(self) -> bool:
        """Whether everything that was there at the start has been handed out."""
        ...

    def close(self) -> None:
        """Leave; safe to call twice."""
        ...


class Bus(Protocol):
    """Opens what services read and write with."""

    def transactional(
        self, *, service: str, topics: Sequence[str], slot: int = 0, slots: int = 1
    ) -> TransactionalSession:
        """A session of one slot; it reads partitions p with p % slots == slot of every topic.

        Its state topic is `<service>.state`, its transactional id `<service>-<slot>`, its group
        `<service>`.
        """
        ...

    def group(self, *, group: str, topics: Sequence[str], member: str | None) -> GroupSession:
        """A member of a consumer group.

        Args:
            group: its name.
            topics: what is read.
            member: which replica this is: a restart takes its own partitions back; None: one of
                many, which come and go, so its partitions go to the others at once, or after some
                seconds when it was killed.
        """
        ...

    def sender(self, *, polled: bool = False, patient: bool = False) -> Sender:
        """An idempotent producer that waits for all in-sync replicas.

        Args:
            patient: nobody waits for an acknowledgement: records gather for longer, and none is
                given up while the brokers are away.
            polled: the caller calls `poll()` often; otherwise a thread of the sender takes the
                acknowledgements. Beside a busy event loop that thread waits for the interpreter's
                lock once a record, for milliseconds each.
        """
        ...

    def view(self, *topics: str) -> TopicView:
        """A reader of whole topics."""
        ...
