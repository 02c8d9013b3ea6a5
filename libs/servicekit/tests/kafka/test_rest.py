"""When a consumer rests, with a client of librdkafka's that only counts."""

from collections import deque
from typing import cast

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as KafkaMessage

from servicekit.kafka.rest import RestingConsumer

REST = 0.001


class Slow:
    """A consumer to whom answers come only after some polls; a pause loses those on their way."""

    def __init__(self, partitions: int, polls_until_an_answer: int) -> None:
        self._partitions = [TopicPartition("t", p) for p in range(partitions)]
        self._late = polls_until_an_answer
        self._polls = 0
        self._come: deque[KafkaMessage] = deque()
        self.rests = 0

    def assignment(self) -> list[TopicPartition]:
        return self._partitions

    def poll(self, timeout: float) -> KafkaMessage | None:
        self._polls += 1
        if self._polls == self._late:
            self._come.extend(_end(p.partition) for p in self._partitions)
        return self._come.popleft() if self._come else None

    def consume(self, count: int, timeout: float) -> list[KafkaMessage]:
        return [self._come.popleft() for _ in range(min(count, len(self._come)))]

    def pause(self, partitions: list[TopicPartition]) -> None:
        self.rests += 1
        self._polls = 0
        self._come.clear()

    def resume(self, partitions: list[TopicPartition]) -> None: ...

    def get_watermark_offsets(self, partition: TopicPartition, timeout: float) -> None:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT))


def _end(partition: int) -> KafkaMessage:
    return KafkaMessage("t", partition, 0, error=KafkaError(KafkaError._PARTITION_EOF))


def _reader(client: Slow) -> RestingConsumer:
    return RestingConsumer(cast(Consumer, client), REST)


def test_it_does_not_rest_while_an_answer_may_be_on_its_way():
    client = Slow(partitions=2, polls_until_an_answer=4)

    told = _reader(client).read(10, 1.0)

    assert [(m.topic(), m.partition()) for m in told] == [("t", 0), ("t", 1)]
    assert client.rests == 0


def test_the_end_of_a_partition_is_told_once_and_every_end_shown_again_allows_a_rest():
    client = Slow(partitions=2, polls_until_an_answer=2)
    reader = _reader(client)
    reader.read(10, 1.0)

    assert reader.read(10, 0.05) == []
    assert client.rests > 1
