"""Rests between fetches, for a broker that answers empty ones at once.

A broker is to hold an empty fetch back for `fetch.wait.max.ms`. The embedded one does not, so that
each consumer without work asks thousands of times a second, and a few of them keep a core busy.
"""

import time

from confluent_kafka import Consumer, KafkaError, KafkaException
from confluent_kafka import Message as KafkaMessage

AWAKE_SECONDS = 0.005
"""How long a message is waited for before the next look at the time."""


class RestingConsumer:
    """Reads in bursts, and fetches nothing between them.

    A burst goes on until every partition has shown its end. A rest throws away what is on its way,
    so a shorter burst could end before any answer had come, and the next one, and so on for ever.
    """

    def __init__(self, consumer: Consumer, rest_seconds: float) -> None:
        """Wraps a consumer of the same thread.

        Args:
            consumer: whose partitions are paused while it rests; where it does, it has to tell of
                the ends of partitions (`enable.partition.eof`).
            rest_seconds: length of a rest, and so what it adds to the latency of a message;
                0 never rests.
        """
        self._consumer = consumer
        self._rest_seconds = rest_seconds
        self._at_end: set[tuple[str, int]] = set()
        """Partitions that have shown their end since the last rest."""
        self._told: set[tuple[str, int]] = set()
        """Partitions whose end was handed out, and that have given nothing since."""

    def read(self, max_messages: int, timeout: float) -> list[KafkaMessage]:
        """What is there, at most `max_messages`; waits `timeout` seconds for the first.

        The end of a partition is handed out once after its messages.
        """
        # consume(n, t) waits all of t unless n have come, so: wait for one, then take what is here.
        first = self._first(timeout)
        if first is None:
            return []
        more = self._consumer.consume(max_messages - 1, 0) if max_messages > 1 else []
        if self._rest_seconds:
            for message in (first, *more):
                self._note(message)
        return [first, *more]

    def _first(self, timeout: float) -> KafkaMessage | None:
        if not self._rest_seconds:
            return self._consumer.poll(timeout)
        give_up = time.monotonic() + timeout
        while True:
            left = give_up - time.monotonic()
            message = self._consumer.poll(max(0.0, min(left, AWAKE_SECONDS)))
            if message is not None and not self._is_known_end(message):
                return message
            if left <= AWAKE_SECONDS:
                return None
            self._rest(left - AWAKE_SECONDS)

    def _is_known_end(self, message: KafkaMessage) -> bool:
        """Whether it says again that a partition is at its end."""
        known = _place(message) in self._told and _is_end(message)
        if known:
            self._note(message)
        return known

    def _note(self, message: KafkaMessage) -> None:
        place = _place(message)
        if _is_end(message):
            self._at_end.add(place)
            self._told.add(place)
        elif message.error() is None:
            self._at_end.discard(place)
            self._told.discard(place)

    def _rest(self, longest: float) -> None:
        """Rest, unless an answer may be on its way."""
        partitions = self._consumer.assignment()
        if any((p.topic, p.partition) not in self._at_end for p in partitions):
            return
        seconds = max(0.0, min(self._rest_seconds, longest))
        if not partitions:
            time.sleep(seconds)
            return
        self._consumer.pause(partitions)
        time.sleep(seconds)
        self._consumer.resume(partitions)
        self._at_end.clear()
        try:
            # librdkafka notices a resume within a second; any answer from the broker wakes it now.
            self._consumer.get_watermark_offsets(partitions[0], timeout=1.0)
        except KafkaException:
            return  # the next poll tells what is the matter


def _is_end(message: KafkaMessage) -> bool:
    error = message.error()
    return error is not None and error.code() == KafkaError._PARTITION_EOF


def _place(message: KafkaMessage) -> tuple[str, int]:
    return message.topic() or "", message.partition() or 0
