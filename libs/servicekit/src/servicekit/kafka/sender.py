"""Sends from any thread or event loop without blocking; one thread hears the acknowledgements."""

import contextlib
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaError, KafkaException

from servicekit.bus import Batch, Record
from servicekit.errors import OverloadedError, ServicekitError, UnavailableError
from servicekit.kafka.client import Clients, log
from servicekit.kafka.errors import of_a_record
from servicekit.kafka.topics import Topics
from servicekit.loops.backoff import Backoff

LISTEN_SECONDS = 0.05
"""Longest wait for an acknowledgement before the sender looks whether it is to end."""

PARTING_SECONDS = 5.0
"""Longest wait for what a producer says of records that were given up; it says it at once."""

PURGED = (KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT)


class KafkaSender:
    """An idempotent producer with a bounded queue.

    It connects in the background, and takes records while the brokers are away, until its queue is
    full. A producer that fails for good is replaced: nothing but its own queue depends on it.
    """

    def __init__(
        self,
        clients: Clients,
        topics: Topics,
        *,
        max_queue: int,
        linger_seconds: float,
        delivery_seconds: float,
        polled: bool = False,
    ) -> None:
        """Connects in the background.

        Args:
            clients: makes the producer.
            topics: makes the topics.
            max_queue: records that wait for an acknowledgement, at most.
            linger_seconds: how long a record waits for company.
            delivery_seconds: after which a record that no broker took has failed; 0: never.
            polled: see `Bus.sender`.
        """
        self._clients = clients
        self._topics = topics
        self._polled = polled
        self._options: dict[str, Any] = {
            "queue_buffering_max_messages": max_queue,
            "linger_ms": linger_seconds * 1000,
            "delivery_timeout_ms": int(delivery_seconds * 1000),
        }
        self._max_queue = max_queue
        self._delivery_seconds = delivery_seconds
        self._lock = threading.Lock()
        self._closed = False
        self._closing = threading.Event()
        threading.Thread(target=self._ensure, name="kafka-sender-topics", daemon=True).start()
        # A new producer needs a second for its identity: not at the first request's cost.
        self._line: _Line | None = None
        self._begin()

    def send(self, record: Record) -> "Future[None]":
        """See `Sender.send`; the future fails with UnavailableError when no broker took it.

        Raises:
            OverloadedError: the queue is full, or the sender is closed.
            TooLargeError: the record is larger than any topic takes.
        """
        line = self._line or self._begin()
        future: Future[None] = Future()

        def delivered(error: KafkaError | None, _: object) -> None:
            if error is None:
                future.set_result(None)
                return
            line.purged += error.code() in PURGED
            future.set_exception(of_a_record(error, f"sending to {record.topic}"))

        try:
            line.producer.produce(
                record.topic,
                value=record.value,
                key=record.key,
                headers=list(record.headers),
                partition=-1 if record.partition is None else record.partition,
                on_delivery=delivered,
            )
        except BufferError:
            raise OverloadedError(
                f"{self._max_queue} records wait for Kafka (KAFKA_SENDER_QUEUE), or"
                f" {self._clients.bounds.sender_queue_bytes} bytes (KAFKA_SENDER_QUEUE_BYTES):"
                " send again in a moment"
            ) from None
        except KafkaException as error:
            raise of_a_record(error, f"sending to {record.topic}") from error
        return future

    def send_batch(self, batch: Batch, on_done: Callable[[ServicekitError | None], None]) -> int:
        """See `Sender.send_batch`."""
        line = self._line or self._begin()
        doing = f"sending to {batch.topic}"

        def delivered(error: KafkaError | None, _: object) -> None:
            if error is None:
                on_done(None)
                return
            line.purged += error.code() in PURGED
            on_done(of_a_record(error, doing))

        produce, shared = line.producer.produce, list(batch.headers)
        for queued, (key, value, headers) in enumerate(batch.records):
            try:
                produce(
                    batch.topic,
                    value=value,
                    key=key,
                    headers=[*shared, *headers],
                    on_delivery=delivered,
                )
            except BufferError:
                return queued
            except KafkaException as error:
                on_done(of_a_record(error, doing))
        return len(batch.records)

    def poll(self) -> None:
        """See `Sender.poll`."""
        line = self._line
        if line is not None:
            line.listen(0)

    def close(self, timeout: float) -> int:
        """See `Sender.close`; what is left then fails with UnavailableError."""
        self._closing.set()
        with self._lock:
            self._closed = True
            line, self._line = self._line, None
        return line.close(timeout) if line else 0

    def _begin(self) -> "_Line":
        with self._lock:
            if self._closed:
                raise OverloadedError("the sender is closed: this process is stopping")
            if self._line is None:
                self._line = _Line(self._clients, self._options, self._replace, self._polled)
            return self._line

    def _ensure(self) -> None:
        """See that the topics exist, once there are brokers; meanwhile each delivery tells."""
        backoff = Backoff()
        while not self._closing.is_set():
            try:
                self._topics.ensure(())
                return
            except UnavailableError as error:
                log.warning("topics are not ensured yet: %s", error)
                self._closing.wait(backoff.next())
            except Exception:
                log.exception("topics cannot be ensured by this sender")
                return

    def _replace(self, broken: "_Line") -> None:
        with self._lock:
            if self._line is broken:
                log.error("the producer is broken, and the next record gets a new one")
                self._line = None


class _Line:
    """One producer, and the thread that hears its acknowledgements until the last.

    Of a polled producer, the thread only begins and ends the work.
    """

    def __init__(
        self,
        clients: Clients,
        options: dict[str, Any],
        on_broken: "Callable[[_Line], None]",
        polled: bool,
    ) -> None:
        self._polled = polled
        self.producer = clients.producer(**options)
        self._on_broken = on_broken
        self._ended = threading.Event()
        self.purged = 0
        """Records that were given up; only the thread that hears acknowledgements counts them."""
        self._thread = threading.Thread(target=self._listen, name="kafka-sender", daemon=True)
        self._thread.start()

    def close(self, timeout: float) -> int:
        with contextlib.suppress(KafkaException):
            self.producer.flush(timeout)
        # What flush() says is left counts errors that nobody has heard yet as well as records.
        self.producer.purge()
        self._ended.set()
        self._thread.join(PARTING_SECONDS)
        return self.purged

    def _listen(self) -> None:
        if self._polled:
            self._ended.wait()
        while not self._ended.is_set():
            self.listen(LISTEN_SECONDS)
        until = time.monotonic() + PARTING_SECONDS
        while (left := len(self.producer)) and time.monotonic() < until:
            if not self.listen(LISTEN_SECONDS):
                # One that fails at once, again and again, would else keep a core busy.
                time.sleep(LISTEN_SECONDS)
        if left:
            log.error("the producer ended without a word about %d records", left)

    def listen(self, seconds: float) -> bool:
        """Serve acknowledgements; when none are there, wait for the first.

        Returns:
            Whether the producer works.
        """
        try:
            self.producer.poll(seconds)
        except KafkaException:
            # It is broken for good, and would never answer for what it holds.
            self._on_broken(self)
            self._ended.set()
            self.producer.purge()
            return False
        return True
