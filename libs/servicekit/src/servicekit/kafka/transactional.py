"""One slot of a transactional processor over Kafka."""

import time
from collections.abc import Iterator, Sequence

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    Producer,
    TopicPartition,
)

from servicekit.bus import Message, PartitionOffset, Positions, Record
from servicekit.errors import FatalBusError, TransactionAbortedError, UnavailableError
from servicekit.kafka.batch_reader import BatchReader
from servicekit.kafka.client import Clients, read
from servicekit.kafka.deadline import within
from servicekit.kafka.errors import is_fatal, kafka_error, translate
from servicekit.kafka.offsets import committed_offsets, first_and_end
from servicekit.kafka.session import KafkaSession
from servicekit.kafka.sync_producer import produce
from servicekit.kafka.timestamp_merge import Partition
from servicekit.kafka.topics import Topics
from servicekit.start import Start

COMMIT_SECONDS = 10.0
"""How long a commit may stay without an answer before the slot is opened anew."""

TRANSACTION_SECONDS = 30.0
"""After which the brokers abort a transaction that was left open, which holds its readers back.

A session that goes on would be fenced by that; it gives up long before.
"""

KEEP_SECONDS = 6 * 3600.0
"""Between two commits of offsets that have not changed.

A group without members, such as a slot's, loses each offset `offsets.retention.minutes` after it
was committed, seven days by default: a topic in which little happens would be read again.
"""

CONCURRENT_BACKOFF_MS = 2
"""Before a request is sent again that met the end of the transaction before."""


class KafkaTransactionalSession(KafkaSession):
    """Reads the partitions of a slot, and writes with their offsets in one transaction.

    The partitions are assigned, not subscribed to, so no rebalance ever happens; the transactional
    id fences an older session of the slot.
    """

    def __init__(
        self,
        clients: Clients,
        topics: Topics,
        *,
        service: str,
        inputs: Sequence[str],
        slot: int,
        slots: int,
    ) -> None:
        super().__init__(clients, topics, name=f"{service}-{slot}", group=service, inputs=inputs)
        self._slot = slot
        self._slots = slots
        self._state = f"{service}.state"
        self._producer: Producer | None = None
        """Set while the session is open."""
        self._group_metadata: object = None
        self._positions: dict[Partition, int] = {}
        """All that is committed."""
        self._keep_at = 0.0
        """When offsets that have not changed are committed again."""

    def open(self) -> None:
        """See `TransactionalSession.open`; after an outage it may be called again."""
        self.close()
        self._topics.ensure([*self._inputs, f"{self._group}.dead"])
        self._topics.ensure_state(self._state, self._slots)
        try:
            # First of all: it aborts what an older session left open, offsets included.
            self._producer = self._open_producer()
            consumer = self._clients.consumer(self._group)
            self._reader = BatchReader(consumer, self._clients.bounds)
            self._reader.assign(self._committed(consumer))
            self._keep_at = time.monotonic()
            self._group_metadata = consumer.consumer_group_metadata()
        except KafkaException as error:
            raise translate(error, f"opening {self._name}") from error

    def _open_producer(self) -> Producer:
        """Return a producer that has fenced all older ones of the slot."""
        return self._connect_producer(self._name)

    def _connect_producer(self, transactional_id: str) -> Producer:
        producer = self._clients.producer(
            transactional_id=transactional_id,
            linger_ms=5,
            # Apache Kafka ends a transaction in the background, and has the next one's first
            # request wait until it did: 5 ms or so, where librdkafka would wait 100.
            retry_backoff_ms=CONCURRENT_BACKOFF_MS,
            transaction_timeout_ms=int(TRANSACTION_SECONDS * 1000),
            # librdkafka heeds this, and not the timeout of send_offsets_to_transaction: by
            # default it would wait a minute for a broker that is away.
            socket_timeout_ms=max(1000, int(self._timeout * 1000)),
        )
        producer.init_transactions(self._timeout)
        return producer

    def _partitions(self) -> list[TopicPartition]:
        return [p for p in super()._partitions() if p.partition % self._slots == self._slot]

    def _committed(self, consumer: Consumer) -> list[TopicPartition]:
        found = committed_offsets(consumer, self._partitions(), self._timeout)
        self._positions = {(p.topic, p.partition): p.offset for p in found if p.offset >= 0}
        for partition in found:
            if partition.offset < 0:
                partition.offset = OFFSET_BEGINNING
        return found

    @property
    def never_committed(self) -> bool:
        """See `TransactionalSession.never_committed`."""
        return not self._positions

    def offsets(self, start: Start) -> list[PartitionOffset]:
        """See `TransactionalSession.offsets`."""
        return self._offsets(self._partitions(), start)

    def restore(self) -> Iterator[Message]:
        """See `TransactionalSession.restore`.

        Raises:
            UnavailableError: the end was not reached.
        """
        consumer = self._clients.consumer(f"{self._group}.restore", enable_partition_eof=True)
        partition = TopicPartition(self._state, self._slot, OFFSET_BEGINNING)
        try:
            _, end = first_and_end(consumer, partition, self._timeout)
            if end == 0:
                return
            consumer.assign([partition])
            last = time.monotonic()
            while True:
                for item in consumer.consume(1000, 0.05):
                    last = time.monotonic()
                    error = item.error()
                    if error is None:
                        yield read(item)
                    elif error.code() != KafkaError._PARTITION_EOF:
                        raise KafkaException(error)
                    # Markers of transactions take offsets too, so the end is no count of messages.
                    elif (item.offset() or 0) >= end:
                        return
                if time.monotonic() - last > 2 * self._timeout:
                    raise UnavailableError(
                        f"{self._state}[{self._slot}] gave nothing more before its end at {end}"
                    )
        except KafkaException as error:
            raise translate(error, f"restoring {self._state}") from error
        finally:
            consumer.close()

    def poll(self, max_messages: int, timeout: float) -> list[Message]:
        """See `TransactionalSession.poll`."""
        reader = self._open_reader()
        if time.monotonic() > self._keep_at:
            self.commit((), self._positions)
        return reader.poll(max_messages, timeout)

    def commit(self, records: Sequence[Record], positions: Positions) -> None:
        """See `TransactionalSession.commit`."""
        reader, producer = self._open_reader(), self._producer
        assert producer is not None  # noqa: S101 - the session is open
        if due := time.monotonic() > self._keep_at:
            positions = self._positions | dict(positions)
        try:
            self._topics.ensure({record.topic for record in records})
        except UnavailableError as error:
            raise TransactionAbortedError(str(error)) from error
        offsets = [TopicPartition(t, p, offset) for (t, p), offset in positions.items()]
        try:
            producer.begin_transaction()
            produce(producer, records)
            if offsets:
                self._send_offsets(producer, offsets)
        except KafkaException as error:
            self._abort(producer, error)
        self._commit(producer)
        reader.committed(positions)
        self._positions.update(positions)
        if due:
            self._keep_at = time.monotonic() + KEEP_SECONDS

    def _send_offsets(self, producer: Producer, offsets: list[TopicPartition]) -> None:
        # librdkafka waits for ever when the group's coordinator dies while it is asked.
        try:
            within(
                COMMIT_SECONDS,
                "adding offsets to a transaction",
                producer.send_offsets_to_transaction,
                offsets,
                self._group_metadata,
                self._timeout,
            )
        except UnavailableError:
            # The producer is in use; the next session's fences it.
            self._producer = None
            self.close()
            raise

    def _commit(self, producer: Producer) -> None:
        until = time.monotonic() + COMMIT_SECONDS
        while True:
            try:
                producer.commit_transaction(self._timeout)
                return
            except KafkaException as error:
                inner = kafka_error(error)
                if inner.txn_requires_abort():
                    self._abort(producer, error)
                if is_fatal(inner):
                    raise translate(error, "committing a transaction") from error
                if not inner.retriable() or time.monotonic() > until:
                    # It may have been committed or not: only a new session can find out.
                    self.close()
                    raise translate(error, "committing a transaction") from error

    def _abort(self, producer: Producer, cause: KafkaException) -> None:
        """Give the transaction up; always raises."""
        translated = translate(cause, "writing a transaction")
        if isinstance(translated, FatalBusError):
            raise translated from cause
        try:
            self._abort_transaction(producer)
        except KafkaException as error:
            # The next session's first act is to end this transaction.
            self.close()
            raise translate(error, "aborting a transaction") from cause
        raise TransactionAbortedError(str(translated)) from cause

    def _abort_transaction(self, producer: Producer) -> None:
        producer.abort_transaction(self._timeout)

    def close(self) -> None:
        """See `TransactionalSession.close`."""
        producer, self._producer = self._producer, None
        if producer is not None:
            # The next session, or the broker's time-out, ends an open transaction.
            producer.purge()
        super().close()
