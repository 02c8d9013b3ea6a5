"""How far one partition is read ahead of another."""

from typing import Any

import pytest
from confluent_kafka import KafkaError, TopicPartition

from servicekit.errors import UnavailableError
from servicekit.kafka.batch_reader import BatchReader
from servicekit.kafka.client import Bounds

FAST, SLOW = ("fast", 0), ("slow", 0)


class Item:
    """A message of the client, or an error in partition of one."""

    def __init__(self, topic: str, offset: int, at: int, error: KafkaError | None = None) -> None:
        self._topic, self._offset, self._at, self._error = topic, offset, at, error

    def __getattr__(self, name: str) -> Any:
        values = {
            "topic": self._topic,
            "partition": 0,
            "offset": self._offset,
            "key": b"k",
            "value": b"v",
            "headers": [],
            "timestamp": (1, self._at),
            "error": self._error,
        }
        return lambda: values[name]


class FakeConsumer:
    """Gives what it was told to, and notes what is asked of it."""

    def __init__(self, *items: Item) -> None:
        self.items = list(items)
        self.ends = {FAST: 20, SLOW: 20}
        self.paused: set[str] = set()
        self.sought: list[tuple[str, int]] = []

    def assign(self, partitions: list[TopicPartition]) -> None:
        self.assigned = partitions

    def poll(self, timeout: float) -> Item | None:
        return self.items.pop(0) if self.items else None

    def consume(self, count: int, timeout: float) -> list[Item]:
        some, self.items = self.items[:count], self.items[count:]
        return some

    def get_watermark_offsets(self, partition: TopicPartition, cached: bool) -> tuple[int, int]:
        return 0, self.ends[partition.topic, partition.partition]

    def pause(self, partitions: list[TopicPartition]) -> None:
        self.paused |= {partition.topic for partition in partitions}

    def resume(self, partitions: list[TopicPartition]) -> None:
        self.paused -= {partition.topic for partition in partitions}

    def seek(self, partition: TopicPartition) -> None:
        self.sought.append((partition.topic, partition.offset))


def reader_of(consumer: Any) -> BatchReader:
    reader = BatchReader(consumer, Bounds(held_messages=10))
    reader.assign([TopicPartition(*FAST, 0), TopicPartition(*SLOW, 0)])
    return reader


def fast(first: int, after: int) -> list[Item]:
    return [Item("fast", n, 10 * n) for n in range(first, after)]


def offsets(reader: BatchReader, count: int) -> list[tuple[str, int]]:
    """Topic and offset of the next messages."""
    found: list[tuple[str, int]] = []
    for _ in range(50):
        found += [(m.topic, m.offset) for m in reader.poll(count - len(found), 0.1)]
        if len(found) == count:
            break
    return found


def test_a_partition_that_is_far_ahead_waits_for_the_other() -> None:
    consumer = FakeConsumer(*fast(0, 12))
    reader = reader_of(consumer)
    assert reader.poll(100, 0.1) == []
    assert consumer.paused == {"fast"}
    consumer.items = [Item("slow", 0, 45), Item("slow", 1, 10_000)]
    taken = [(m.topic, m.offset) for m in reader.poll(5, 0.1)]
    assert taken == [("fast", n) for n in range(5)]
    assert consumer.paused == {"fast"}, "more than half of what may be held is held"
    taken = [(m.topic, m.offset) for m in reader.poll(5, 0.1)]
    assert taken == [("slow", 0), *(("fast", n) for n in range(5, 9))]
    assert consumer.paused == set()


def test_what_was_handed_out_is_read_again_and_what_is_held_is_not() -> None:
    consumer = FakeConsumer(*fast(0, 3), Item("slow", 0, 1000))
    reader = reader_of(consumer)
    assert offsets(reader, 2) == [("fast", 0), ("fast", 1)]
    reader.rewind()
    assert consumer.sought == [("fast", 0)]
    consumer.items = fast(0, 20)
    assert offsets(reader, 21) == [*(("fast", n) for n in range(20)), ("slow", 0)]


def test_an_outage_while_more_is_read_loses_nothing_that_was_taken() -> None:
    consumer = FakeConsumer(*fast(0, 3), Item("slow", 0, 1000))
    reader = reader_of(consumer)
    assert offsets(reader, 2) == [("fast", 0), ("fast", 1)]
    consumer.items = [Item("slow", 0, 0, KafkaError(KafkaError._ALL_BROKERS_DOWN))]
    with pytest.raises(UnavailableError):
        reader.poll(100, 0.1)
    reader.rewind()
    assert consumer.sought == [("fast", 0)]
    consumer.items = fast(0, 20)
    assert offsets(reader, 21) == [*(("fast", n) for n in range(20)), ("slow", 0)]


def test_a_marker_at_the_end_of_a_partition_is_not_waited_for() -> None:
    consumer = FakeConsumer(*fast(0, 3), *(Item("slow", n, 5) for n in range(19)))
    consumer.ends[FAST] = 3
    assert len(reader_of(consumer).poll(100, 0.1)) == 22
