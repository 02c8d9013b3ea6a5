"""A member of a consumer group over Kafka, for effects that leave Kafka."""

import time
from collections.abc import Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition

from servicekit.bus import Message, PartitionOffset, Positions, Record
from servicekit.errors import UnavailableError
from servicekit.kafka.batch_reader import BatchReader
from servicekit.kafka.client import Clients, log
from servicekit.kafka.errors import translate
from servicekit.kafka.offsets import commit_offsets
from servicekit.kafka.session import KafkaSession
from servicekit.kafka.sync_producer import SyncProducer
from servicekit.kafka.topics import Topics
from servicekit.start import Start

LONGEST_BATCH_SECONDS = 600
"""A member that does not poll for so long loses its partitions, and gets its batch again."""

JOIN_SECONDS = 60.0
"""Longest wait for all partitions of a group, when its offsets are looked up.

Members that ended keep theirs until the brokers miss them, after 45 s by default.
"""

SESSION_SECONDS = 10
"""After which the brokers miss a member that has no fixed name, and give its partitions to others.

Nobody who is started in its place can have them before, so it is less than the 45 s of a member
with a name, which a restart takes back.
"""

LEAVE_SECONDS = 2.0
"""Longest wait for a member's last rebalance."""


class KafkaGroupSession(KafkaSession):
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
        name = group if member is None else f"{group}-{member}"
        super().__init__(clients, topics, name=name, group=group, inputs=inputs)
        # A restarted member takes its own partitions back, without a rebalance.
        self._membership: dict[str, Any] = (
            {"session_timeout_ms": SESSION_SECONDS * 1000}
            if member is None
            else {"group_instance_id": name}
        )
        self._producer = SyncProducer(clients)
        self._paused = False
        self._taken_over: set[tuple[str, int]] = set()

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
            self._reader = BatchReader(consumer, self._clients.bounds)
            consumer.subscribe(
                self._inputs,
                on_assign=self._on_assign,
                on_revoke=self._on_revoke,
                on_lost=self._on_revoke,
            )
        except KafkaException as error:
            raise translate(error, f"joining {self._group}") from error

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        consumer.incremental_assign(partitions)
        if self._paused:
            consumer.pause(partitions)
        self._taken_over.update((p.topic, p.partition) for p in partitions)
        log.info("%s has %s", self._name, [f"{p.topic}[{p.partition}]" for p in partitions])

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        # Called by close() as well, when there is no reader any more.
        if self._reader is not None:
            for partition in partitions:
                self._reader.forget(partition.topic, partition.partition)
        consumer.incremental_unassign(partitions)

    def offsets(self, start: Start) -> list[PartitionOffset]:
        """See `Session.offsets`; it waits for all partitions, and leaves the session paused."""
        consumer = self._open_reader().consumer
        self._paused = True
        wanted = self._partitions()
        until = time.monotonic() + JOIN_SECONDS
        while missing := _missing(wanted, consumer.assignment()):
            if time.monotonic() > until:
                raise UnavailableError(
                    f"other members of the group {self._group} have {', '.join(missing)}: stop"
                    " every replica of the service first"
                )
            self.poll(1, 0.05)
        return self._offsets(wanted, start)

    def poll(self, max_messages: int, timeout: float) -> list[Message]:
        """See `GroupSession.poll`."""
        reader = self._open_reader()
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
        reader = self._open_reader()
        offsets = [TopicPartition(t, p, offset) for (t, p), offset in positions.items()]
        if not offsets:
            return
        try:
            commit_offsets(reader.consumer, offsets)
        except KafkaException as error:
            raise translate(error, f"committing offsets of {self._group}") from error
        reader.committed(positions)

    def taken_over(self) -> set[tuple[str, int]]:
        """See `GroupSession.taken_over`."""
        taken, self._taken_over = self._taken_over, set()
        return taken

    def pause(self) -> None:
        """See `GroupSession.pause`."""
        consumer = self._open_reader().consumer
        consumer.pause(consumer.assignment())
        self._paused = True

    def resume(self) -> None:
        """See `GroupSession.resume`."""
        self._paused = False
        consumer = self._open_reader().consumer
        consumer.resume(consumer.assignment())

    def _leave(self, consumer: Consumer) -> None:
        """Give the partitions up, and poll until the client has handled that.

        librdkafka hangs for ever, holding the GIL, when it closes while a rebalance event waits:
        https://github.com/confluentinc/librdkafka/issues/4884. A static member that unsubscribes
        stays in its group.
        """
        consumer.unsubscribe()
        until = time.monotonic() + LEAVE_SECONDS
        polls = 0
        while (polls < 2 or consumer.assignment()) and time.monotonic() < until:
            consumer.poll(0.01)
            polls += 1


def _missing(wanted: Sequence[TopicPartition], assigned: Sequence[TopicPartition]) -> list[str]:
    """Return the wanted partitions that are not assigned, as people name them."""
    found = {(p.topic, p.partition) for p in assigned}
    return [f"{p.topic}[{p.partition}]" for p in wanted if (p.topic, p.partition) not in found]
