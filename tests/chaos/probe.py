"""Writes to a topic of its own all the time, and knows for how long a partition took nothing."""

import threading
import time
from collections import defaultdict
from functools import partial
from itertools import pairwise

from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

TOPIC = "chaos.probe"
PARTITIONS = 6
"""More than brokers, so that each leads some."""
EVERY_SECONDS = 0.05
LOOK_SECONDS = 24.0
"""How long after a kill its silence is looked for."""


def longest_silence(acks: list[float], since: float, until: float) -> float:
    """Longest time between two acknowledgements of which the second came after `since`.

    Args:
        acks: When a partition acknowledged something, ascending.
        since: When a broker was killed.
        until: The end of what is looked at; a silence that lasts until then counts up to it.
    """
    inside = [at for at in acks if at <= until]
    times = [*inside, until]
    return max((b - max(a, since) for a, b in pairwise([since, *times]) if b > since), default=0.0)


class Probe:
    """A producer on a thread of its own, that asks for the acknowledgement of all in sync.

    Args:
        bootstrap: Where the brokers are.
        brokers: How many there are.
    """

    def __init__(self, bootstrap: str, brokers: int) -> None:
        self._bootstrap = bootstrap
        self._copies = min(3, brokers)
        self._acks: dict[int, list[float]] = defaultdict(list)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="probe", daemon=True)

    def __enter__(self) -> "Probe":
        admin = AdminClient({"bootstrap.servers": self._bootstrap, "log_level": 0})
        for made in admin.create_topics([NewTopic(TOPIC, PARTITIONS, self._copies)]).values():
            try:
                made.result(30)
            except KafkaException as error:
                if "ALREADY_EXISTS" not in error.args[0].name():
                    raise
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=20)

    def silence_after(self, killed: float) -> float:
        """Seconds until the last partition took records again, after a kill at this time."""
        until = min(killed + LOOK_SECONDS, time.monotonic())
        acks = [list(self._acks[partition]) for partition in range(PARTITIONS)]
        return max(longest_silence(each, killed, until) for each in acks)

    def _run(self) -> None:
        producer = Producer(
            {
                "bootstrap.servers": self._bootstrap,
                "acks": "all",
                "linger.ms": 0,
                "message.timeout.ms": 60_000,
                "reconnect.backoff.max.ms": 1000,
                "log_level": 0,
            }
        )
        while not self._stop.wait(EVERY_SECONDS):
            for partition in range(PARTITIONS):
                took = partial(self._took, partition)
                try:
                    producer.produce(TOPIC, b"probe", partition=partition, on_delivery=took)
                except BufferError:
                    break
            producer.poll(0)
        producer.purge()
        producer.flush(2)

    def _took(self, partition: int, error: object, _: object) -> None:
        if error is None:
            self._acks[partition].append(time.monotonic())
