"""Reads batches with a consumer, and remembers how far they are not yet committed."""

from collections import Counter
from collections.abc import Sequence

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from servicekit.bus import Lag, Message, Positions
from servicekit.kafka.client import log, read
from servicekit.kafka.errors import translate
from servicekit.kafka.rest import RestingConsumer


class BatchReader:
    """Hands out messages of one consumer; what was handed out and not committed can be read again.

    Going back needs no answer from a broker: the first offset of each partition that was handed
    out since the last commit is kept.
    """

    def __init__(self, consumer: Consumer, rest_seconds: float = 0.0) -> None:
        self._consumer = consumer
        self._resting = RestingConsumer(consumer, rest_seconds)
        self._first: dict[tuple[str, int], int] = {}
        """Oldest offset handed out and not committed."""
        self._next: dict[tuple[str, int], int] = {}
        """Offset after the newest that was handed out."""

    def poll(self, max_messages: int, timeout: float) -> list[Message]:
        """What is there, at most `max_messages`; waits `timeout` seconds for the first.

        Raises:
            UnavailableError: read on after `rewind`; what came in the same batch comes again.
            FatalBusError: the consumer was fenced.
        """
        batch: list[Message] = []
        try:
            items = self._resting.read(max_messages, timeout)
        except KafkaException as error:
            raise translate(error, "reading") from error
        failure: KafkaError | None = None
        for item in items:
            error = item.error()
            if error is None:
                message = read(item)
                where = (message.topic, message.partition)
                self._first.setdefault(where, message.offset)
                self._next[where] = message.offset + 1
                batch.append(message)
            elif error.code() == KafkaError._MAX_POLL_EXCEEDED:
                log.warning("left the group, since a batch took too long: %s", error.str())
            elif error.code() != KafkaError._PARTITION_EOF:
                failure = error
        if failure is not None:
            raise translate(failure, "reading")
        return batch

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
