"""Rests between empty fetches, for a broker that answers them at once.

A broker is to hold an empty fetch back for `fetch.wait.max.ms`. The embedded one does not, so that
each idle consumer asks thousands of times a second, and keeps a core busy with a few of its kind.
"""

import time

from confluent_kafka import Consumer, KafkaException
from confluent_kafka import Message as KafkaMessage

AWAKE_SECONDS = 0.005
"""How long a message is waited for before the next rest."""


class RestingConsumer:
    """Polls for single messages; while none come, the consumer fetches in short bursts only."""

    def __init__(self, consumer: Consumer, rest_seconds: float) -> None:
        """Wraps a consumer of the same thread.

        Args:
            consumer: whose partitions are paused while it rests.
            rest_seconds: length of a rest, and so what it adds to the latency of the first message
                after a quiet time; 0 never rests.
        """
        self._consumer = consumer
        self._rest_seconds = rest_seconds

    def poll(self, timeout: float) -> KafkaMessage | None:
        """See `Consumer.poll`."""
        if not self._rest_seconds:
            return self._consumer.poll(timeout)
        message = self._consumer.poll(min(timeout, AWAKE_SECONDS))
        if message is None and timeout > AWAKE_SECONDS:
            self._rest(min(self._rest_seconds, timeout - AWAKE_SECONDS))
        return message

    def _rest(self, seconds: float) -> None:
        partitions = self._consumer.assignment()
        if not partitions:
            time.sleep(seconds)
            return
        self._consumer.pause(partitions)
        time.sleep(seconds)
        self._consumer.resume(partitions)
        try:
            # librdkafka notices a resume within a second; any answer from the broker wakes it now.
            self._consumer.get_watermark_offsets(partitions[0], timeout=1.0)
        except KafkaException:
            return  # the next poll tells what is the matter
