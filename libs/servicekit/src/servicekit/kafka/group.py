"""A member of a consumer group over Kafka, for effects that leave Kafka."""

import time
from collections.abc import Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from servicekit.bus import Lag, Message, PartitionOffset, Positions, Record
from servicekit.errors import UnavailableError
from servicekit.kafka.client import Clients, log
from servicekit.kafka.errors import translate
from servicekit.kafka.places import places_of
from servicekit.kafka.publishing import AckedProducer
from servicekit.kafka.reading import BatchReader
from servicekit.kafka.rest import AWAKE_SECONDS
from servicekit.kafka.topics import Topics
from servicekit.start import Start

LONGEST_BATCH_SECONDS = 600
"""A member that does not poll for so long loses its partitions, and gets its batch again."""

JOIN_SECONDS = 60.0
"""Longest wait for all partitions of a group, when its place is to be looked at.

Members that ended keep theirs until the brokers miss them, after 45 s by default.
"""

MISSED_SECONDS = 10
"""After which the brokers miss a member that has no fixed name, and give its partitions to others.

Nobody who is started in its place can have them before, so it is less than the 45 s of a member
with a name, which a restart takes back.
"""

PARTING_SECONDS = 2.0
"""Longest wait for a member's last rebalance."""


class KafkaGroupSession:
    """Reads with a group, publishes, and commits when its caller says so."""

    def __init__(
        self,
        clients: Clients,
        topics: Topics,
        *,
        group: str,
        inputs: Sequence[str],
        member: str | None,
    ) -> None:
        self._clients = clients
        self._topics = topics
        self._group = group
        self._inputs = list(inputs)
        self._member = group if member is None else f"{group}-{member}"
        # A restarted member takes its own partitions back, without a rebalance.
        self._membership: dict[str, Any] = (
            {"session_timeout_ms": MISSED_SECONDS * 1000}
            if member is None
            else {"group_instance_id": self._member}
        )
        self._consumer: Consumer | None = None
        self._reader: BatchReader | None = None
        self._producer = AckedProducer(clients)
        self._paused = False

    def open(self) -> None:
        """See `GroupSession.open`; after an outage it may be called again."""
        self.close()
        self._paused = False
        self._topics.ensure(self._inputs)
        self._producer.connect()
        try:
            consumer = self._clients.consumer(
                self._group,
                partition_assignment_strategy="cooperative-sticky",
                max_poll_interval_ms=LONGEST_BATCH_SECONDS * 1000,
                **self._membership,
            )
            self._consumer, self._reader = (
                consumer,
                BatchReader(consumer, self._clients.idle_rest_seconds),
            )
            consumer.subscribe(
                self._inputs,
                on_assign=self._on_assign,
                on_revoke=self._on_gone,
                on_lost=self._on_gone,
            )
        except KafkaException as error:
            raise translate(error, f"joining {self._group}") from error

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        consumer.incremental_assign(partitions)
        if self._paused:
            consumer.pause(partitions)
        log.info("%s has %s", self._member, [f"{p.topic}[{p.partition}]" for p in partitions])

    def _on_gone(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        # Called by close() as well, when there is no reader any more.
        if self._reader is not None:
            for partition in partitions:
                self._reader.forget(partition.topic, partition.partition)
        consumer.incremental_unassign(partitions)

    def offsets(self, start: Start) -> list[PartitionOffset]:
        """See `Session.offsets`; it waits for all partitions, and leaves the session paused."""
        consumer, _ = self._opened()
        self._paused = True
        wanted = [
            TopicPartition(topic, partition)
            for topic in self._inputs
            for partition in range(self._topics.partitions(topic))
        ]
        until = time.monotonic() + JOIN_SECONDS
        while missing := _without(wanted, consumer.assignment()):
            if time.monotonic() > until:
                raise UnavailableError(
                    f"other members of the group {self._group} have {', '.join(missing)}: stop"
                    " every replica of the service first"
                )
            self.poll(1, 0.05)
        try:
            return places_of(consumer, wanted, start, self._clients.request_seconds)
        except KafkaException as error:
            raise translate(error, f"looking where {self._group} stands") from error

    def poll(self, max_messages: int, timeout: float) -> list[Message]:
        """See `GroupSession.poll`."""
        _, reader = self._opened()
        # A rest would end the pause, so a paused member does not wait long enough for one.
        timeout = min(timeout, AWAKE_SECONDS) if self._paused else timeout
        messages = reader.poll(max_messages, timeout)
        if self._paused and messages:
            # They were under way already when the pause began.
            reader.give_back(messages)
            return []
        return messages

    def publish(self, records: Sequence[Record]) -> None:
        """See `GroupSession.publish`."""
        self._topics.ensure({record.topic for record in records})
        self._producer.publish(records)

    def commit(self, positions: Positions) -> None:
        """See `GroupSession.commit`."""
        consumer, reader = self._opened()
        offsets = [TopicPartition(t, p, offset) for (t, p), offset in positions.items()]
        if not offsets:
            return
        try:
            for answer in consumer.commit(offsets=offsets, asynchronous=False) or ():
                if answer.error is not None:
                    raise KafkaException(answer.error)
        except KafkaException as error:
            raise translate(error, f"committing offsets of {self._group}") from error
        reader.committed(positions)

    def rewind(self) -> None:
        """See `GroupSession.rewind`."""
        self._opened()[1].rewind()

    def pause(self) -> None:
        """See `GroupSession.pause`."""
        consumer, _ = self._opened()
        consumer.pause(consumer.assignment())
        self._paused = True

    def resume(self) -> None:
        """See `GroupSession.resume`."""
        self._paused = False
        consumer, _ = self._opened()
        consumer.resume(consumer.assignment())

    def lag(self) -> Lag:
        """See `GroupSession.lag`."""
        return self._opened()[1].lag()

    def close(self) -> None:
        """See `GroupSession.close`."""
        consumer, self._consumer, self._reader = self._consumer, None, None
        if consumer is not None:
            try:
                _part(consumer)
                consumer.close()
            except (KafkaException, RuntimeError) as error:
                log.warning("closing the consumer of %s: %s", self._member, error)

    def _opened(self) -> tuple[Consumer, BatchReader]:
        if self._consumer is None or self._reader is None:
            raise UnavailableError(f"the session {self._member} is not open")
        return self._consumer, self._reader


def _without(wanted: Sequence[TopicPartition], had: Sequence[TopicPartition]) -> list[str]:
    """The partitions that are not among those that one has, as people name them."""
    found = {(p.topic, p.partition) for p in had}
    return [f"{p.topic}[{p.partition}]" for p in wanted if (p.topic, p.partition) not in found]


def _part(consumer: Consumer) -> None:
    """Give the partitions up while rebalance events are still heard.

    librdkafka hangs for ever, holding the GIL, when it closes while one waits to be heard:
    https://github.com/confluentinc/librdkafka/issues/4884. A static member that unsubscribes stays
    in its group.
    """
    consumer.unsubscribe()
    until = time.monotonic() + PARTING_SECONDS
    polls = 0
    while (polls < 2 or consumer.assignment()) and time.monotonic() < until:
        consumer.poll(0.01)
        polls += 1
