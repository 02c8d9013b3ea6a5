"""Follows whole topics over Kafka, without a group."""

from collections.abc import Sequence

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from servicekit.bus import Message
from servicekit.kafka.client import Clients, read
from servicekit.kafka.errors import translate
from servicekit.kafka.rest import RestingConsumer
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
        self._resting: RestingConsumer | None = None
        self._behind: set[tuple[str, int]] | None = None
        """Partitions whose first end has not been reached; None before the start."""

    def poll(self, timeout: float) -> list[Message]:
        """See `TopicView.poll`.

        Raises:
            UnavailableError: the brokers do not answer; poll again, it goes on where it was.
        """
        resting = self._resting or self._open()
        messages: list[Message] = []
        try:
            for item in resting.read(MAX_BATCH, timeout):
                error = item.error()
                if error is None:
                    messages.append(read(item))
                elif error.code() == KafkaError._PARTITION_EOF:
                    (self._behind or set()).discard((item.topic() or "", item.partition() or 0))
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
        return self._behind is not None and not self._behind

    def close(self) -> None:
        """See `TopicView.close`; the next poll starts from the beginning."""
        consumer, self._consumer, self._resting, self._behind = self._consumer, None, None, None
        if consumer is not None:
            consumer.close()

    def _open(self) -> RestingConsumer:
        self._topics.ensure(self._names)
        partitions = [
            TopicPartition(name, partition, OFFSET_BEGINNING)
            for name in self._names
            for partition in range(self._topics.partitions(name))
        ]
        try:
            consumer = self._clients.consumer("no-group", enable_partition_eof=True)
            # Without it, librdkafka takes half a second to ask who leads the partitions.
            consumer.list_topics(timeout=self._clients.request_seconds)
            consumer.assign(partitions)
        except KafkaException as error:
            raise translate(error, f"following {', '.join(self._names)}") from error
        self._behind = {(p.topic, p.partition) for p in partitions}
        self._consumer = consumer
        self._resting = RestingConsumer(consumer, self._clients.idle_rest_seconds)
        return self._resting
