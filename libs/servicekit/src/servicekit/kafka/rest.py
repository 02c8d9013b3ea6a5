"""Rests between fetches, for a broker that answers empty ones at once.

A broker is to hold an empty fetch back for `fetch.wait.max.ms`. The embedded one does not, so that
each consumer without work asks thousands of times a second, and a few of them keep a core busy.
"""

import time

from confluent_kafka import Consumer, KafkaException
from confluent_kafka import Message as KafkaMessage

AWAKE_SECONDS = 0.005
"""How long a message is waited for before the next rest."""


class RestingConsumer:
    """Reads in short bursts, and fetches nothing between them."""

    def __init__(self, consumer: Consumer, rest_seconds: float) -> None:
        """Wraps a consumer of the same thread.

        Args:
            consumer: whose partitions are paused while it rests.
            rest_seconds: length of a rest, and so what it adds to the latency of a message;
                0 never rests.
        """
        self._consumer = consumer
        self._rest_seconds = rest_seconds
        self._emptied = False
        """Whether the last read left nothing behind, which a rest would have fetched again."""

    def read(self, max_messages: int, timeout: float) -> list[KafkaMessage]:
        """What is there, at most `max_messages`; waits `timeout` seconds for the first."""
        # consume(n, t) waits all of t unless n have come, so: wait for one, then take what is here.
        first = self._first(timeout)
        if first is None:
            return []
        more = self._consumer.consume(max_messages - 1, 0) if max_messages > 1 else []
        self._emptied = len(more) < max_messages - 1
        return [first, *more]

    def _first(self, timeout: float) -> KafkaMessage | None:
        if not self._rest_seconds:
            return self._consumer.poll(timeout)
        give_up = time.monotonic() + timeout
        if self._emptied and timeout > AWAKE_SECONDS:
            self._rest(timeout - AWAKE_SECONDS)
        while True:
            left = give_up - time.monotonic()
            message = self._consumer.poll(max(0.0, min(left, AWAKE_SECONDS)))
            if message is not None or left <= AWAKE_SECONDS:
                return message
            self._rest(left - AWAKE_SECONDS)

    def _rest(self, longest: float) -> None:
        seconds = max(0.0, min(self._rest_seconds, longest))
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
