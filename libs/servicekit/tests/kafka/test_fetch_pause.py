"""When a consumer pauses, on top of a client of librdkafka's that only counts."""

from collections import deque
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as KafkaMessage

from servicekit.kafka import fetch_pause as module
from servicekit.kafka.client import poll_batch
from servicekit.kafka.fetch_pause import FetchPauseConsumer


class SlowConsumer(Consumer):
    """Gets the ends of its partitions only after some polls; a pause loses answers under way."""

    partitions = 2
    polls_until_an_answer = 2

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._polls = 0
        self._answers: deque[KafkaMessage] = deque()
        self.pauses: list[list[int]] = []

    def assignment(self) -> list[TopicPartition]:
        return [TopicPartition("t", p) for p in range(self.partitions)]

    def poll(self, timeout: float = 0) -> KafkaMessage | None:
        self._polls += 1
        if self._polls == self.polls_until_an_answer:
            self._answers.extend(_end(p) for p in range(self.partitions))
        return self._answers.popleft() if self._answers else None

    def consume(self, num_messages: int = 1, timeout: float = 0) -> list[KafkaMessage]:
        return [self._answers.popleft() for _ in range(min(num_messages, len(self._answers)))]

    def pause(self, partitions: list[TopicPartition]) -> None:
        self.pauses.append([p.partition for p in partitions])
        self._polls = 0
        self._answers.clear()

    def resume(self, partitions: list[TopicPartition]) -> None: ...

    def get_watermark_offsets(self, *_: Any, **__: Any) -> Any:
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT))


class PausingConsumer(FetchPauseConsumer, SlowConsumer):
    """The slow one, with pauses."""


def _end(partition: int) -> KafkaMessage:
    return KafkaMessage("t", partition, 0, error=KafkaError(KafkaError._PARTITION_EOF))


@pytest.fixture
def consumer(monkeypatch: pytest.MonkeyPatch) -> PausingConsumer:
    monkeypatch.setattr(module, "PAUSE_SECONDS", 0.001)
    return PausingConsumer({"bootstrap.servers": "", "group.id": "g"})


def test_it_does_not_pause_while_an_answer_may_be_under_way(consumer: PausingConsumer) -> None:
    consumer.polls_until_an_answer = 4

    batch = poll_batch(consumer, 10, 1.0)

    assert [(m.topic(), m.partition()) for m in batch] == [("t", 0), ("t", 1)]
    assert consumer.pauses == []


def test_the_end_of_a_partition_comes_once_and_every_end_shown_again_allows_a_pause(
    consumer: PausingConsumer,
) -> None:
    poll_batch(consumer, 10, 1.0)

    assert poll_batch(consumer, 10, 0.05) == []
    assert len(consumer.pauses) > 1


def test_a_partition_that_the_caller_paused_is_neither_waited_for_nor_resumed(
    consumer: PausingConsumer,
) -> None:
    consumer.pause([TopicPartition("t", 1)])
    poll_batch(consumer, 10, 1.0)
    assert consumer.pauses == [[1]]

    poll_batch(consumer, 10, 0.05)
    assert consumer.pauses[1:]
    assert all(paused == [0] for paused in consumer.pauses[1:])

    consumer.resume([TopicPartition("t", 1)])
    poll_batch(consumer, 10, 0.05)
    assert consumer.pauses[-1] == [0, 1]
