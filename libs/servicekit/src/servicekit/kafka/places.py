"""Where a group stands in its partitions, and where a start would be."""

from collections.abc import Sequence

from confluent_kafka import Consumer, KafkaException, TopicPartition

from servicekit.bus import PartitionOffset
from servicekit.kafka.ends import bounds_of
from servicekit.start import Start


def committed_places(
    consumer: Consumer, partitions: Sequence[TopicPartition], seconds: float
) -> list[TopicPartition]:
    """The committed offset of each partition; negative where there is none.

    Raises:
        KafkaException: There was no answer, or an error for one.
    """
    if not partitions:
        return []
    found = consumer.committed(list(partitions), timeout=seconds)
    for place in found:
        if place.error is not None:
            raise KafkaException(place.error)
    return found


def places_of(
    consumer: Consumer, partitions: Sequence[TopicPartition], start: Start, seconds: float
) -> list[PartitionOffset]:
    """Where the consumer's group stands in each partition, and where a start is in it.

    Raises:
        KafkaException: There was no answer, or an error for one.
    """
    places = []
    for partition in committed_places(consumer, partitions, seconds):
        first, end = bounds_of(consumer, partition, seconds)
        if start.at == "earliest":
            target = first
        elif start.at == "latest":
            target = end
        else:
            asked = TopicPartition(partition.topic, partition.partition, start.milliseconds)
            (answer,) = consumer.offsets_for_times([asked], timeout=seconds)
            if answer.error is not None:
                raise KafkaException(answer.error)
            # Negative: nothing came since.
            target = answer.offset if answer.offset >= 0 else end
        committed = partition.offset if partition.offset >= 0 else None
        places.append(PartitionOffset(partition.topic, partition.partition, committed, target))
    return places
