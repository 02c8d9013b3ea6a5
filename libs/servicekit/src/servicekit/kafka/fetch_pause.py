"""Pauses between fetches, for a broker that answers an empty fetch at once.

A broker is to hold an empty fetch back for `fetch.wait.max.ms`. The embedded one does not, so each
idle consumer would ask thousands of times a second, and a few of them would keep a core busy.
"""

import time
from collections.abc import Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import Message as KafkaMessage

from servicekit.kafka.timestamp_merge import Partition

PAUSE_SECONDS = 0.05
"""Length of a pause, and the most that it adds to the latency of a message."""

POLL_SECONDS = 0.005
"""How long a poll waits for a message before the consumer may pause."""


class FetchPauseConsumer(Consumer):
    """Polls in bursts, and fetches nothing between them.

    A burst lasts until every partition has reported its end. A pause discards the answers that are
    under way, so a shorter burst could end before any answer arrived, and so could the next one.
    """

    def __init__(self, config: dict[str, Any], /, **more: Any) -> None:
        super().__init__({**config, "enable.partition.eof": True}, **more)
        self._at_end: set[Partition] = set()
        """Partitions that reported their end since the last pause."""
        self._reported: set[Partition] = set()
        """Partitions whose end the caller knows, and that had no message since."""
        self._paused: set[Partition] = set()
        """Partitions that the caller paused."""

    def poll(self, timeout: float = 0.0) -> KafkaMessage | None:
        """Return the next message, or once the end of a partition, within `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while True:
            left = deadline - time.monotonic()
            message = super().poll(max(0.0, min(left, POLL_SECONDS)))
            if message is not None:
                known_end = _is_end(message) and _partition(message) in self._reported
                self._note(message)
                if not known_end:
                    return message
            if left <= POLL_SECONDS:
                return None
            self._pause_fetches(left - POLL_SECONDS)

    def consume(self, num_messages: int = 1, timeout: float = 0.0) -> list[KafkaMessage]:
        """Return up to `num_messages`, with the ends of partitions among them."""
        messages = super().consume(num_messages, timeout)
        for message in messages:
            self._note(message)
        return messages

    def pause(self, partitions: list[TopicPartition]) -> None:
        """Stop fetching from partitions until the caller resumes them."""
        super().pause(partitions)
        self._paused |= _keys(partitions)

    def resume(self, partitions: list[TopicPartition]) -> None:
        """Fetch from partitions again."""
        super().resume(partitions)
        self._paused -= _keys(partitions)

    def incremental_assign(self, partitions: list[TopicPartition]) -> None:
        """Fetch from more partitions; the client assigns them unpaused."""
        super().incremental_assign(partitions)
        self._paused -= _keys(partitions)

    def _note(self, message: KafkaMessage) -> None:
        partition = _partition(message)
        if _is_end(message):
            self._at_end.add(partition)
            self._reported.add(partition)
        elif message.error() is None:
            self._at_end.discard(partition)
            self._reported.discard(partition)

    def _pause_fetches(self, longest: float) -> None:
        """Pause, unless an answer may be under way."""
        assigned = self.assignment()
        fetched = [p for p in assigned if (p.topic, p.partition) not in self._paused]
        if not _keys(fetched) <= self._at_end:
            return
        seconds = max(0.0, min(PAUSE_SECONDS, longest))
        if not fetched:
            time.sleep(seconds)
            return
        super().pause(fetched)
        time.sleep(seconds)
        super().resume(fetched)
        self._at_end.clear()
        try:
            # librdkafka notices a resume within a second; any answer from the broker wakes it now.
            self.get_watermark_offsets(fetched[0], timeout=1.0)
        except KafkaException:
            return  # The next poll raises what is wrong.


def _is_end(message: KafkaMessage) -> bool:
    error = message.error()
    return error is not None and error.code() == KafkaError._PARTITION_EOF


def _partition(message: KafkaMessage) -> Partition:
    return message.topic() or "", message.partition() or 0


def _keys(partitions: Sequence[TopicPartition]) -> set[Partition]:
    return {(p.topic, p.partition) for p in partitions}
