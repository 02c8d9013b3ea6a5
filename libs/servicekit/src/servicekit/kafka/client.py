"""Makes the Kafka clients of a process, and reads messages with them."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Consumer, Producer
from confluent_kafka import Message as KafkaMessage
from confluent_kafka.admin import AdminClient

from servicekit.bus import Message
from servicekit.kafka.client_log import ErrorLog, LibrdkafkaLogger

log = logging.getLogger("servicekit.kafka")


MAX_FETCH_BYTES = 50 * 1024 * 1024
"""Of one answer of a broker, as librdkafka has it; a smaller prefetch makes it smaller."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much waits in the memory of one client, and for how long."""

    prefetch_messages: int = 10_000
    """Messages of each partition that a consumer tries to have ready."""
    prefetch_bytes: int = 16 * 1024 * 1024
    """Bytes of messages in a consumer from which it fetches no more; one fetch may go beyond."""
    held_messages: int = 5000
    """Messages of one partition that wait for older ones of another; then it is paused."""
    held_seconds: float = 5.0
    """How long they wait for a partition that gives nothing and is not at its end."""
    sender_queue_bytes: int = 64 * 1024 * 1024
    """Bytes of records in a producer that the brokers have not acknowledged."""

    def consumer(self) -> dict[str, int]:
        """Return the bounds as options of librdkafka."""
        return {
            "queued.min.messages": self.prefetch_messages,
            "queued.max.messages.kbytes": max(1, self.prefetch_bytes // 1024),
            "fetch.max.bytes": min(MAX_FETCH_BYTES, self.prefetch_bytes),
        }

    def producer(self) -> dict[str, int]:
        """Return the bounds as options of librdkafka."""
        return {"queue.buffering.max.kbytes": max(1, self.sender_queue_bytes // 1024)}


class Clients:
    """Makes clients; what librdkafka logs goes to `logging`, never to standard error."""

    def __init__(
        self,
        bootstrap_servers: str,
        options: Mapping[str, Any] | None = None,
        *,
        request_seconds: float = 5.0,
        bounds: Bounds | None = None,
        consumer_type: type[Consumer] = Consumer,
    ) -> None:
        self.bootstrap_servers = bootstrap_servers
        self.request_seconds = request_seconds
        """Longest wait for one answer of the brokers; then it is an outage, which loops retry."""
        self.bounds = bounds or Bounds()
        self.errors = ErrorLog()
        self._consumer_type = consumer_type
        # The client calls nothing of a logger but its method `log`.
        self._logger: Any = LibrdkafkaLogger(self.errors)
        self._common: dict[str, Any] = {
            "bootstrap.servers": bootstrap_servers,
            # A broker that comes back is found within two seconds.
            "reconnect.backoff.ms": 100,
            "reconnect.backoff.max.ms": 2000,
            "log.connection.close": False,
            "error_cb": self.errors.on_error,
            **(options or {}),
        }

    def consumer(self, group: str, **options: Any) -> Consumer:
        """Return a consumer of committed messages that commits nothing by itself.

        Only one thread may touch it: in confluent-kafka 2.16 a second one's calls never return.
        """
        return self._consumer_type(
            {
                **self._common,
                "group.id": group,
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                **self.bounds.consumer(),
                **_dotted(options),
            },
            logger=self._logger,
        )

    def producer(self, **options: Any) -> Producer:
        """Return an idempotent producer that waits for all in-sync replicas."""
        return Producer(
            {
                **self._common,
                "enable.idempotence": True,
                "acks": "all",
                # murmur2 of the key is what Java clients use, so both agree on the partition.
                "partitioner": "murmur2_random",
                # Events are JSON, of which little is left; any broker since 0.10 reads lz4.
                "compression.type": "lz4",
                # Dead letters are a bit larger than the largest message.
                "message.max.bytes": 2 * 1024 * 1024,
                **self.bounds.producer(),
                **_dotted(options),
            },
            logger=self._logger,
        )

    def admin(self) -> AdminClient:
        """Return a client that creates topics."""
        return AdminClient(dict(self._common), logger=self._logger)


def poll_batch(consumer: Consumer, max_messages: int, timeout: float) -> list[KafkaMessage]:
    """Return what is there, at most `max_messages`; wait `timeout` seconds for the first."""
    # consume(n, t) waits all of t unless n came, so: wait for one, then take what is here.
    first = consumer.poll(timeout)
    if first is None:
        return []
    more = consumer.consume(max_messages - 1, 0) if max_messages > 1 else []
    return [first, *more]


def read(message: KafkaMessage) -> Message:
    """Return the kit's message for the client's."""
    headers: Any = message.headers() or ()
    for _, value in headers:
        if value is None:
            headers = [(name, value or b"") for name, value in headers]
            break
    return Message(
        message.topic() or "",
        message.partition() or 0,
        message.offset() or 0,
        message.key(),  # pyright: ignore[reportArgumentType] - bytes, as nothing deserialises
        message.value(),  # pyright: ignore[reportArgumentType]
        tuple(headers),
        message.timestamp()[1],
    )


def _dotted(options: dict[str, Any]) -> dict[str, Any]:
    return {name.replace("_", "."): value for name, value in options.items()}
