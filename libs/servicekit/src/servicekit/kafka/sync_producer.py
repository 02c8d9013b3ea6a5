"""Publishes a batch and waits until each record is acknowledged."""

from collections.abc import Iterable, Sequence
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from servicekit.bus import Record
from servicekit.errors import UnavailableError
from servicekit.kafka.client import Clients
from servicekit.kafka.errors import of_a_record

DELIVERY_SECONDS = 20.0


class SyncProducer:
    """A producer for loops, which have nothing to do until all is written."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients
        self._producer: Producer | None = None

    def connect(self) -> Producer:
        """Begin to connect, without waiting: a new producer needs a second for its identity."""
        if self._producer is None:
            self._producer = self._clients.producer(
                delivery_timeout_ms=int(DELIVERY_SECONDS * 1000),
                linger_ms=5,
                # flush() says when all is done: only failures have to be reported one by one.
                delivery_report_only_error=True,
            )
        return self._producer

    def publish(self, records: Sequence[Record]) -> None:
        """Publish all, and return when the broker has acknowledged each.

        Raises:
            UnavailableError: some were not acknowledged in time.
            TooLargeError: a record is larger than its topic takes.
        """
        if not records:
            return
        producer = self.connect()
        failures: list[KafkaError] = []
        try:
            produce(producer, records, lambda error, _: failures.append(error))
            left = producer.flush(DELIVERY_SECONDS + 5)
        except KafkaException as error:
            self._discard(producer)
            raise of_a_record(error, "publishing") from error
        if failures or left:
            self._discard(producer)
        if failures:
            raise _worst(failures)
        if left:
            raise UnavailableError(f"{left} of {len(records)} records were not acknowledged")

    def _discard(self, producer: Producer) -> None:
        """Drop the producer: an idempotent one that lost a record cannot go on."""
        producer.purge()
        self._producer = None


def produce(producer: Producer, records: Iterable[Record], on_delivery: Any = None) -> None:
    """Hand records to a producer; when its queue is full, wait until it is not."""
    send = producer.produce
    for topic, key, value, headers, partition in records:
        number = -1 if partition is None else partition
        while True:
            try:
                # By position, which is cheaper: no timestamp of our own.
                send(topic, value, key, number, on_delivery, None, 0, list(headers))
                break
            except BufferError:
                producer.poll(0.1)


def _worst(failures: list[KafkaError]) -> Exception:
    """Return the error of a record that will never be written, if there is one."""
    lasting = [f for f in failures if f.code() == KafkaError.MSG_SIZE_TOO_LARGE]
    return of_a_record((lasting or failures)[0], f"publishing, {len(failures)} records lost")
