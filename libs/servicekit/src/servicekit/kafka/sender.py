"""Sends from any thread or event loop without blocking; one thread polls the acknowledgements."""

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

POLL_SECONDS = 0.05
"""Longest wait for an acknowledgement before the thread checks whether it has to end."""

PURGE_SECONDS = 5.0
"""Longest wait for the reports of purged records, which a producer makes at once."""

PURGED = (KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT)


class KafkaSender:
    """An idempotent producer with a bounded queue.

    It connects in the background, and takes records while the brokers are away, until its queue is
    full. A producer that fails for good is replaced: nothing but its own queue depends on it.

    Args:
        clients: Makes the producer.
        topics: Makes the topics.
        max_queue: Records that wait for an acknowledgement, at most.
        linger_seconds: How long a record waits for others that are sent with it.
        delivery_seconds: After which a record that no broker took has failed; 0: never.
        polled: See `Bus.sender`.
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
        self._clients = clients
        self._topics = topics
        self._polled = polled
        self._options: dict[str, Any] = {
            "queue_buffering_max_messages": max_queue,
            "linger_ms": linger_seconds * 1000,
            "delivery_timeout_ms": int(delivery_seconds * 1000),
        }
        self._max_queue = max_queue
        self._lock = threading.Lock()
        self._closed = False
        self._closing = threading.Event()
        threading.Thread(
            target=self._ensure_topics, name="kafka-sender-topics", daemon=True
        ).start()
        # A new producer needs a second for its identity: not at the first request's cost.
        self._connection: _Connection | None = None
        self._connect()

    def send(self, record: Record) -> "Future[None]":
        """See `Sender.send`; the future fails with UnavailableError when no broker took it.

        Raises:
            OverloadedError: the queue is full, or the sender is closed.
            TooLargeError: the record is larger than any topic takes.
        """
        connection = self._connection or self._connect()
        future: Future[None] = Future()

        def on_done(error: ServicekitError | None) -> None:
            if error is None:
                future.set_result(None)
            else:
                future.set_exception(error)

        try:
            connection.producer.produce(
                record.topic,
                value=record.value,
                key=record.key,
                headers=list(record.headers),
                partition=-1 if record.partition is None else record.partition,
                on_delivery=connection.report_to(on_done, f"sending to {record.topic}"),
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
        connection = self._connection or self._connect()
        doing = f"sending to {batch.topic}"
        delivered = connection.report_to(on_done, doing)
        produce, shared = connection.producer.produce, list(batch.headers)
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
        connection = self._connection
        if connection is not None:
            connection.poll(0)

    def close(self, timeout: float) -> int:
        """See `Sender.close`; what is left then fails with UnavailableError."""
        self._closing.set()
        with self._lock:
            self._closed = True
            connection, self._connection = self._connection, None
        return connection.close(timeout) if connection else 0

    def _connect(self) -> "_Connection":
        with self._lock:
            if self._closed:
                raise OverloadedError("the sender is closed: this process is stopping")
            if self._connection is None:
                self._connection = _Connection(
                    self._clients, self._options, self._on_broken, self._polled
                )
            return self._connection

    def _ensure_topics(self) -> None:
        """Make the topics once there are brokers; until then deliveries report what is wrong."""
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

    def _on_broken(self, broken: "_Connection") -> None:
        with self._lock:
            if self._connection is broken:
                log.error("the producer is broken, and the next record gets a new one")
                self._connection = None


class _Connection:
    """One producer, and the thread that polls its acknowledgements until the last.

    Of a polled producer, the thread only polls those that are left at the end.
    """

    def __init__(
        self,
        clients: Clients,
        options: dict[str, Any],
        on_broken: "Callable[[_Connection], None]",
        polled: bool,
    ) -> None:
        self._polled = polled
        self.producer = clients.producer(**options)
        self._on_broken = on_broken
        self._ended = threading.Event()
        self.purged = 0
        """Records that were given up; only the thread that polls acknowledgements counts them."""
        self._thread = threading.Thread(target=self._run, name="kafka-sender", daemon=True)
        self._thread.start()

    def report_to(
        self, on_done: Callable[[ServicekitError | None], None], doing: str
    ) -> Callable[[KafkaError | None, object], None]:
        """Return a delivery callback of this producer that calls `on_done`."""

        def delivered(error: KafkaError | None, _: object) -> None:
            if error is None:
                on_done(None)
                return
            self.purged += error.code() in PURGED
            on_done(of_a_record(error, doing))

        return delivered

    def close(self, timeout: float) -> int:
        with contextlib.suppress(KafkaException):
            self.producer.flush(timeout)
        # What flush() says is left counts errors that were not polled yet as well as records.
        self.producer.purge()
        self._ended.set()
        self._thread.join(PURGE_SECONDS)
        return self.purged

    def _run(self) -> None:
        if self._polled:
            self._ended.wait()
        while not self._ended.is_set():
            self.poll(POLL_SECONDS)
        until = time.monotonic() + PURGE_SECONDS
        while (left := len(self.producer)) and time.monotonic() < until:
            if not self.poll(POLL_SECONDS):
                # One that fails at once, again and again, would keep a core busy.
                time.sleep(POLL_SECONDS)
        if left:
            log.error("the producer ended without a word about %d records", left)

    def poll(self, seconds: float) -> bool:
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
