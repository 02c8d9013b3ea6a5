"""Where a partition begins and ends; of a new topic the brokers cannot tell it at once."""

import time

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition

from servicekit.kafka.errors import kafka_error

LOOK_SECONDS = 0.02
"""Between two questions."""

_NO_LEADER_YET = {
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
}


def end_of(consumer: Consumer, partition: TopicPartition, seconds: float) -> int:
    """The offset after the last committed message, or after the marker that committed it.

    See `bounds_of`.
    """
    return bounds_of(consumer, partition, seconds)[1]


def bounds_of(consumer: Consumer, partition: TopicPartition, seconds: float) -> tuple[int, int]:
    """The first offset that is kept, and the one after the last that is committed.

    Args:
        consumer: Asks; it need not read the partition.
        partition: Is asked for.
        seconds: How long a broker may take to hear that it leads the partition, and to answer.

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
        time.sleep(LOOK_SECONDS)
