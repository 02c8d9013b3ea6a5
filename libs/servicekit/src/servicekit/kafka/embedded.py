"""The bus on the embedded broker, which differs from Apache Kafka in two ways (ADR 2).

It answers an empty fetch at once, so consumers pause between fetches. And it never forgets an
aborted transaction: it reports one to readers that are past its end, whose clients then drop what
the same producer committed since. So each producer of transactions gets an id of its own, which
makes it another producer.
"""

from confluent_kafka import Producer, TopicPartition

from servicekit.kafka.bus import KafkaBus
from servicekit.kafka.fetch_pause import FetchPauseConsumer
from servicekit.kafka.offsets import commit_offsets, committed_offsets
from servicekit.kafka.transactional import KafkaTransactionalSession


class EmbeddedTransactionalSession(KafkaTransactionalSession):
    """Opens each producer with the next transactional id of its slot: `<name>`, then `<name>.1`.

    The number of the last id is kept as an offset in the slot's partition of the state topic,
    committed for a group of the slot alone.
    """

    def _open_producer(self) -> Producer:
        last_id = TopicPartition(self._state, self._slot)
        counter = self._clients.consumer(f"{self._name}.incarnation")
        try:
            [stored] = committed_offsets(counter, [last_id], self._timeout)
            last = max(stored.offset, 0)
            # It ends what an older session left open.
            self._connect_producer(self._numbered(last))
            last_id.offset = last + 1
            commit_offsets(counter, [last_id])
        finally:
            counter.close()
        return self._connect_producer(self._numbered(last + 1))

    def _numbered(self, number: int) -> str:
        return f"{self._name}.{number}" if number else self._name

    def _abort_transaction(self, producer: Producer) -> None:
        super()._abort_transaction(producer)
        self._producer = self._open_producer()


class EmbeddedKafkaBus(KafkaBus):
    """A `KafkaBus` on the embedded broker."""

    consumer_type = FetchPauseConsumer
    session_type = EmbeddedTransactionalSession
