"""Reads batches with a consumer, and remembers how far they are not yet committed."""

import time
from collections import Counter
from collections.abc import Sequence

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from servicekit.bus import Lag, Message, Positions
from servicekit.errors import UnavailableError
from servicekit.kafka.client import Bounds, log, read
from servicekit.kafka.errors import translate
from servicekit.kafka.merging import Merge, Partition
from servicekit.kafka.rest import RestingConsumer


class BatchReader:
    """Hands out messages of one consumer; what was handed out and not committed can be read again.

    Going back needs no answer from a broker: the first offset of each partition that was handed
    out since the last commit is kept.
    """

    def __init__(
        self, consumer: Consumer, rest_seconds: float = 0.0, bounds: Bounds | None = None
    ) -> None:
        self._consumer = consumer
        self._bounds = bounds or Bounds()
        self._resting = RestingConsumer(consumer, rest_seconds)
        self._merge: Merge | None = None
        self._added: dict[Partition, int] = {}
        """Offset after the newest that is held to be merged, or at which a partition starts."""
        self._held_back: set[Partition] = set()
        """Partitions that are paused, as others have to catch up first."""
        self._first: dict[tuple[str, int], int] = {}
        """Oldest offset handed out and not committed."""
        self._next: dict[tuple[str, int], int] = {}
        """Offset after the newest that was handed out."""

    def assign(self, positions: Sequence[TopicPartition]) -> None:
        """Read these partitions, in the order in which their messages were written.

        Raises:
            KafkaException: the client refuses them.
        """
        self._consumer.assign(list(positions))
        self._added = {(p.topic, p.partition): p.offset for p in positions}
        if len(positions) > 1:
            self._merge = Merge(self._added, self._at_end, self._bounds.held_seconds)

    def poll(self, max_messages: int, timeout: float) -> list[Message]:
        """What is there, at most `max_messages`; waits `timeout` seconds for the first.

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
                # What was taken has to be known to `rewind`.
                self._hand_out(batch)
                raise
            self._hold(self._merge, read_now)
            batch += self._merge.take(max_messages - len(batch), time.monotonic())
        self._let_go_on(self._merge)
        return self._hand_out(batch)

    def _read(self, max_messages: int, timeout: float) -> list[Message]:
        batch: list[Message] = []
        try:
            items = self._resting.read(max_messages, timeout)
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
        if failure is not None:
            raise self._failed(failure, batch)
        return batch

    def _failed(self, failure: KafkaError, batch: Sequence[Message]) -> Exception:
        """The error, once what came with it can be read again."""
        if self._merge is None:
            self._hand_out(batch)
        else:
            self._hold(self._merge, batch)
        return translate(failure, "reading")

    def _hand_out(self, batch: Sequence[Message]) -> list[Message]:
        newest: dict[Partition, int] = {}
        for message in batch:
            where = message[:2]
            if where not in newest:
                self._first.setdefault(where, message.offset)
            newest[where] = message.offset
        self._next.update((where, offset + 1) for where, offset in newest.items())
        return list(batch)

    def _hold(self, merge: Merge, messages: Sequence[Message]) -> None:
        full: set[Partition] = set()
        for message in messages:
            where = (message.topic, message.partition)
            self._added[where] = message.offset + 1
            if merge.add(message) >= self._bounds.held_messages:
                full.add(where)
        if full:
            # Again, if it is paused already: a rest resumes all partitions.
            self._consumer.pause([TopicPartition(*where) for where in full])
            self._held_back |= full

    def _let_go_on(self, merge: Merge) -> None:
        few = self._bounds.held_messages // 2
        for where in [w for w in self._held_back if merge.held(w) <= few]:
            self._consumer.resume([TopicPartition(*where)])
            self._held_back.discard(where)

    def _at_end(self, where: Partition) -> bool:
        """Whether nothing is left of a partition but the marker of a transaction, or one message.

        It is not worth a wait to know which.
        """
        try:
            ends = self._consumer.get_watermark_offsets(TopicPartition(*where), cached=True)
        except KafkaException:
            return False
        # Negative: nothing was fetched yet.
        return ends is not None and 0 <= ends[1] <= max(0, self._added[where]) + 1

    def committed(self, positions: Positions) -> None:
        """Everything before the positions need not come again."""
        for where, offset in positions.items():
            if offset >= self._next.get(where, 0):
                self._first.pop(where, None)
            else:
                self._first[where] = offset

    def rewind(self) -> None:
        """Hand out again what was not committed.

        Raises:
            UnavailableError: a partition could not be moved.
        """
        for (topic, partition), offset in list(self._first.items()):
            try:
                self._consumer.seek(TopicPartition(topic, partition, offset))
            except KafkaException as error:
                raise translate(error, f"going back in {topic}[{partition}]") from error
            del self._first[topic, partition]
            self._next[topic, partition] = offset
            if self._merge is not None:
                self._merge.drop((topic, partition))
                self._added[topic, partition] = offset
        if self._merge is not None:
            self._let_go_on(self._merge)

    def give_back(self, messages: Sequence[Message]) -> None:
        """Have messages of the last poll handed out again, and none before them.

        Raises:
            UnavailableError: a partition could not be moved.
        """
        for message in reversed(messages):
            where = (message.topic, message.partition)
            try:
                self._consumer.seek(TopicPartition(*where, message.offset))
            except KafkaException as error:
                raise translate(error, f"going back in {where}") from error
            self._next[where] = message.offset
            if self._first.get(where) == message.offset:
                del self._first[where]

    def forget(self, topic: str, partition: int) -> None:
        """The partition belongs to somebody else, who starts at the committed offset."""
        self._first.pop((topic, partition), None)
        self._next.pop((topic, partition), None)

    def lag(self) -> Lag:
        """Records between what was handed out and the ends that came with the last fetches."""
        behind: Counter[str] = Counter()
        for (topic, partition), following in self._next.items():
            try:
                ends = self._consumer.get_watermark_offsets(
                    TopicPartition(topic, partition), cached=True
                )
            except KafkaException:
                continue
            # Negative: nothing was fetched yet.
            if ends is not None and ends[1] >= 0:
                behind[topic] += max(0, ends[1] - following)
        return behind
