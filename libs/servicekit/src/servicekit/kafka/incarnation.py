"""A transactional id that no producer had before, for a broker that never forgets an abort.

A broker tells the readers of committed messages which transactions of the part that they fetch were
aborted. The embedded one goes on to tell of an aborted transaction when the reader is past its end
(ADR 2), and clients then drop whatever the same producer committed since. A new transactional id is
a new producer to it.
"""

from collections.abc import Callable

from confluent_kafka import Consumer, KafkaException, TopicPartition


def next_transactional_id(
    name: str,
    place: TopicPartition,
    consumer: Consumer,
    seconds: float,
    fence: Callable[[str], object],
) -> str:
    """The id after the last one of a slot, whose holder is fenced first.

    Args:
        name: Of the slot; it is the first of its ids, and `<name>.1` the second.
        place: A partition of the slot alone; the count is kept as an offset in it.
        consumer: Of a group of the slot alone, which reads nothing.
        seconds: How long an answer of the broker may take.
        fence: Opens a producer with an id, which ends what an older one left open.

    Raises:
        KafkaException: The broker did not answer, or refused.
    """
    [stored] = consumer.committed([place], timeout=seconds)
    if stored.error is not None:
        raise KafkaException(stored.error)
    last = max(stored.offset, 0)
    fence(_id(name, last))
    following = TopicPartition(place.topic, place.partition, last + 1)
    for answer in consumer.commit(offsets=[following], asynchronous=False) or ():
        if answer.error is not None:
            raise KafkaException(answer.error)
    return _id(name, last + 1)


def _id(name: str, number: int) -> str:
    return f"{name}.{number}" if number else name
