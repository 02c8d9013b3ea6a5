"""Reads batches with a consumer, and remembers what is not yet committed."""

import time
from collections import Counter
from collections.abc import Sequence

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from servicekit.bus import Lag, Message, Positions
from servicekit.errors import UnavailableError
from servicekit.kafka.client import Bounds, log, poll_batch, read
from servicekit.kafka.errors import translate
from servicekit.kafka.timestamp_merge import Partition, TimestampMerge


class BatchReader:
    """Hands out messages of one consumer; what is not committed can be read again.

    Going back needs no answer from a broker: the reader keeps, of each partition, the first offset
    that it handed out since the last commit.
    """

    def __init__(self, consumer: Consumer, bounds: Bounds) -> None:
        self.consumer = consumer
        self._bounds = bounds
        self._merge: TimestampMerge | None = None
        self._added: dict[Partition, int] = {}
        """Offset after the newest that is in the merge, or at which a partition starts."""
        self._held_back: set[Partition] = set()
        """Partitions that are paused until others catch up."""
        self._first: dict[Partition, int] = {}
        """Oldest offset handed out and not committed."""
        self._next: dict[Partition, int] = {}
        """Offset after the newest that was handed out."""

    def assign(self, positions: Sequence[TopicPartition]) -> None:
        """Read these partitions, in the order in which their messages were written.

        Raises:
            KafkaException: the client refuses them.
        """
        self.consumer.assign(list(positions))
        self._added = {(p.topic, p.partition): p.offset for p in positions}
        if len(positions) > 1:
            self._merge = TimestampMerge(self._added, self._at_end, self._bounds.held_seconds)

    def poll(self, max_messages: int, timeout: float) -> list[Message]:
        """Return at most `max_messages`; wait `timeout` seconds for the first.

        Raises:
            UnavailableError: read on after `rewind`; what came in the same batch comes again.
            FatalBusError: the consumer was fenced.
        """
        if self._merge is None:
            return self._hand_out(self._read(max_messages, timeout))
        batch = self._merge.take(max_messages, time.monotonic())
        if len(batch) < max_messages:
            try:
                read_now = self._read(max_messages, 0.0 if batch else timeout)
            except UnavailableError:
                # `rewind` has to know what was taken.
                self._hand_out(batch)
                raise
            self._add(self._merge, read_now)
            batch += self._merge.take(max_messages - len(batch), time.monotonic())
        self._resume_held_back(self._merge)
        return self._hand_out(batch)

    def _read(self, max_messages: int, timeout: float) -> list[Message]:
        batch: list[Message] = []
        try:
            items = poll_batch(self.consumer, max_messages, timeout)
        except KafkaException as error:
            raise translate(error, "reading") from error
        failure: KafkaError | None = None
        for item in items:
            error = item.error()
            if error is None:
                batch.append(read(item))
            elif error.code() == KafkaError._MAX_POLL_EXCEEDED:
                log.warning("left the group, since a batch took too long: %s", error.str())
            elif error.code() != KafkaError._PARTITION_EOF:
                failure = error
        if failure is None:
            return batch
        # What came with the error has to be read again.
        if self._merge is None:
            self._hand_out(batch)
        else:
            self._add(self._merge, batch)
        raise translate(failure, "reading")

    def _hand_out(self, batch: list[Message]) -> list[Message]:
        newest: dict[Partition, int] = {}
        for message in batch:
            partition = message[:2]
            if partition not in newest:
                self._first.setdefault(partition, message.offset)
            newest[partition] = message.offset
        self._next.update((partition, offset + 1) for partition, offset in newest.items())
        return batch

    def _add(self, merge: TimestampMerge, messages: Sequence[Message]) -> None:
        full: set[Partition] = set()
        for message in messages:
            partition = message[:2]
            self._added[partition] = message.offset + 1
            if merge.add(message) >= self._bounds.held_messages:
                full.add(partition)
        if full:
            self.consumer.pause([TopicPartition(*partition) for partition in full])
            self._held_back |= full

    def _resume_held_back(self, merge: TimestampMerge) -> None:
        few = self._bounds.held_messages // 2
        for partition in [p for p in self._held_back if merge.held(p) <= few]:
            self.consumer.resume([TopicPartition(*partition)])
            self._held_back.discard(partition)

    def _at_end(self, partition: Partition) -> bool:
        """Return whether at most the marker of a transaction, or one message, is left.

        It is not worth a wait to know which.
        """
        end = self._last_known_end(partition)
        return end is not None and end <= max(0, self._added[partition]) + 1

    def _last_known_end(self, partition: Partition) -> int | None:
        """Return the end that came with the last fetch; None before the first."""
        try:
            ends = self.consumer.get_watermark_offsets(TopicPartition(*partition), cached=True)
        except KafkaException:
            return None
        # Negative: nothing was fetched yet.
        return ends[1] if ends is not None and ends[1] >= 0 else None

    def committed(self, positions: Positions) -> None:
        """Note that everything before the positions need not come again."""
        for partition, offset in positions.items():
            if offset >= self._next.get(partition, 0):
                self._first.pop(partition, None)
            else:
                self._first[partition] = offset

    def rewind(self) -> None:
        """Hand out again what was not committed.

        Raises:
            UnavailableError: a partition could not be moved.
        """
        for partition, offset in list(self._first.items()):
            self._seek(partition, offset)
            del self._first[partition]
            if self._merge is not None:
                self._merge.drop(partition)
                self._added[partition] = offset
        if self._merge is not None:
            self._resume_held_back(self._merge)

    def give_back(self, messages: Sequence[Message]) -> None:
        """Hand out messages of the last poll again, and none before them.

        Raises:
            UnavailableError: a partition could not be moved.
        """
        for message in reversed(messages):
            partition = message[:2]
            self._seek(partition, message.offset)
            if self._first.get(partition) == message.offset:
                del self._first[partition]

    def _seek(self, partition: Partition, offset: int) -> None:
        try:
            self.consumer.seek(TopicPartition(*partition, offset))
        except KafkaException as error:
            raise translate(error, f"going back in {partition[0]}[{partition[1]}]") from error
        self._next[partition] = offset

    def forget(self, topic: str, partition: int) -> None:
        """Drop what is known of a partition that another member reads from its committed offset."""
        self._first.pop((topic, partition), None)
        self._next.pop((topic, partition), None)

    def lag(self) -> Lag:
        """Return the records between what was handed out and the ends of the last fetches."""
        behind: Counter[str] = Counter()
        for partition, following in self._next.items():
            end = self._last_known_end(partition)
            if end is not None:
                behind[partition[0]] += max(0, end - following)
        return behind
