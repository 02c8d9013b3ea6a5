"""Follows whole topics over Kafka, without a group."""

from collections.abc import Sequence

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from servicekit.bus import Message
from servicekit.kafka.client import Clients, poll_batch, read
from servicekit.kafka.errors import translate
from servicekit.kafka.offsets import first_and_end
from servicekit.kafka.topics import Topics

MAX_BATCH = 1000
"""Messages that are handed out at once."""


class KafkaView:
    """All partitions of some topics from their start; it connects at the first poll."""

    def __init__(self, clients: Clients, topics: Topics, names: Sequence[str]) -> None:
        self._clients = clients
        self._topics = topics
        self._names = names
        self._consumer: Consumer | None = None
        self._ends: dict[tuple[str, int], int] | None = None
        """The ends at the start that were not reached yet, by partition; None before the start."""

    def poll(self, timeout: float) -> list[Message]:
        """See `TopicView.poll`.

        Raises:
            UnavailableError: the brokers do not answer; poll again, it goes on where it was.
        """
        consumer = self._consumer or self._open()
        messages: list[Message] = []
        try:
            for item in poll_batch(consumer, MAX_BATCH, timeout):
                error = item.error()
                if error is None:
                    message = read(item)
                    messages.append(message)
                    # A topic that is written to all the time may never show its end.
                    self._passed(message.topic, message.partition, message.offset + 1)
                elif error.code() == KafkaError._PARTITION_EOF:
                    self._passed(item.topic() or "", item.partition() or 0, None)
                else:
                    raise KafkaException(error)
        except KafkaException as error:
            # The messages of this call were not handed out: the next one starts over.
            self.close()
            raise translate(error, f"following {', '.join(self._names)}") from error
        return messages

    @property
    def caught_up(self) -> bool:
        """See `TopicView.caught_up`."""
        return self._ends is not None and not self._ends

    def _passed(self, topic: str, partition: int, following: int | None) -> None:
        """Note that everything before an offset was handed out; None: everything there is."""
        if self._ends and (following is None or following >= self._ends.get((topic, partition), 0)):
            self._ends.pop((topic, partition), None)

    def close(self) -> None:
        """See `TopicView.close`; the next poll starts from the beginning."""
        consumer, self._consumer, self._ends = self._consumer, None, None
        if consumer is not None:
            consumer.close()

    def _open(self) -> Consumer:
        self._topics.ensure(self._names)
        partitions = [
            TopicPartition(name, partition, OFFSET_BEGINNING)
            for name in self._names
            for partition in range(self._topics.partitions(name))
        ]
        try:
            consumer = self._clients.consumer("no-group", enable_partition_eof=True)
            seconds = self._clients.request_seconds
            # Without it, librdkafka takes half a second to ask who leads the partitions.
            consumer.list_topics(timeout=seconds)
            ends = {
                (p.topic, p.partition): first_and_end(consumer, p, seconds)[1] for p in partitions
            }
            consumer.assign(partitions)
        except KafkaException as error:
            raise translate(error, f"following {', '.join(self._names)}") from error
        self._ends = ends
        self._consumer = consumer
        return consumer
