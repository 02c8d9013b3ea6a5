"""Where partitions begin and end, how far a group has read them, and where a start is in them."""

import time
from collections.abc import Sequence

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from servicekit.bus import PartitionOffset
from servicekit.kafka.errors import kafka_error
from servicekit.start import Start

RETRY_SECONDS = 0.02
"""Between two requests for the offsets of a new topic."""

_NO_LEADER_YET = {
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
}


def first_and_end(consumer: Consumer, partition: TopicPartition, seconds: float) -> tuple[int, int]:
    """Return the first offset that is kept, and the one after the last that is committed.

    The end counts the marker that commits a transaction. The consumer need not read the partition.

    Args:
        consumer: Asks the brokers.
        partition: Which.
        seconds: How long a broker may take to learn that it leads the partition, and to answer.

    Raises:
        KafkaException: There was no answer, or an error for one.
    """
    until = time.monotonic() + seconds
    while True:
        try:
            return consumer.get_watermark_offsets(partition, timeout=seconds)
        except KafkaException as error:
            if kafka_error(error).code() not in _NO_LEADER_YET or time.monotonic() > until:
                raise
        time.sleep(RETRY_SECONDS)


def committed_offsets(
    consumer: Consumer, partitions: Sequence[TopicPartition], seconds: float
) -> list[TopicPartition]:
    """Return the offset that the group committed in each partition; negative where there is none.

    Raises:
        KafkaException: There was no answer, or an error for one.
    """
    if not partitions:
        return []
    found = consumer.committed(list(partitions), timeout=seconds)
    _require_no_error(found)
    return found


def commit_offsets(consumer: Consumer, offsets: list[TopicPartition]) -> None:
    """Commit offsets for the consumer's group, and wait for the brokers.

    Raises:
        KafkaException: There was no answer, or an error for one.
    """
    _require_no_error(consumer.commit(offsets=offsets, asynchronous=False) or ())


def partition_offsets(
    consumer: Consumer, partitions: Sequence[TopicPartition], start: Start, seconds: float
) -> list[PartitionOffset]:
    """Return what the consumer's group committed in each partition, and where a start is in it.

    Raises:
        KafkaException: There was no answer, or an error for one.
    """
    offsets = []
    for partition in committed_offsets(consumer, partitions, seconds):
        first, end = first_and_end(consumer, partition, seconds)
        if start.at == "earliest":
            target = first
        elif start.at == "latest":
            target = end
        else:
            asked = TopicPartition(partition.topic, partition.partition, start.milliseconds)
            answers = consumer.offsets_for_times([asked], timeout=seconds)
            _require_no_error(answers)
            # Negative: nothing came since.
            target = answers[0].offset if answers[0].offset >= 0 else end
        committed = partition.offset if partition.offset >= 0 else None
        offsets.append(PartitionOffset(partition.topic, partition.partition, committed, target))
    return offsets


def _require_no_error(answers: Sequence[TopicPartition]) -> None:
    """Raise the first error that the brokers answered for a partition."""
    for answer in answers:
        if answer.error is not None:
            raise KafkaException(answer.error)
