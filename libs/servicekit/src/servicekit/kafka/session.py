"""What a session of a slot and one of a group have in common: a consumer, read in batches."""

from collections.abc import Sequence

from confluent_kafka import Consumer, KafkaException, TopicPartition

from servicekit.bus import Lag, PartitionOffset
from servicekit.errors import UnavailableError
from servicekit.kafka.batch_reader import BatchReader
from servicekit.kafka.client import Clients, log
from servicekit.kafka.errors import translate
from servicekit.kafka.offsets import partition_offsets
from servicekit.kafka.topics import Topics
from servicekit.start import Start


class KafkaSession:
    """Reads topics as one member or slot of a group."""

    def __init__(
        self, clients: Clients, topics: Topics, *, name: str, group: str, inputs: Sequence[str]
    ) -> None:
        self._clients = clients
        self._timeout = clients.request_seconds
        self._topics = topics
        self._name = name
        self._group = group
        self._inputs = list(inputs)
        self._reader: BatchReader | None = None

    def rewind(self) -> None:
        """See `TransactionalSession.rewind` and `GroupSession.rewind`."""
        self._open_reader().rewind()

    def lag(self) -> Lag:
        """See `TransactionalSession.lag` and `GroupSession.lag`."""
        return self._open_reader().lag()

    def close(self) -> None:
        """See `TransactionalSession.close` and `GroupSession.close`."""
        reader, self._reader = self._reader, None
        if reader is not None:
            try:
                self._leave(reader.consumer)
                reader.consumer.close()
            except (KafkaException, RuntimeError) as error:
                log.warning("closing the consumer of %s: %s", self._name, error)

    def _leave(self, consumer: Consumer) -> None:
        """Do what has to be done before the consumer is closed."""

    def _open_reader(self) -> BatchReader:
        if self._reader is None:
            raise UnavailableError(f"the session {self._name} is not open")
        return self._reader

    def _partitions(self) -> list[TopicPartition]:
        """Return every partition of the topics that are read."""
        return [
            TopicPartition(topic, partition)
            for topic in self._inputs
            for partition in range(self._topics.partitions(topic))
        ]

    def _offsets(self, partitions: Sequence[TopicPartition], start: Start) -> list[PartitionOffset]:
        consumer = self._open_reader().consumer
        try:
            return partition_offsets(consumer, partitions, start, self._timeout)
        except KafkaException as error:
            raise translate(error, f"looking where {self._group} stands") from error
