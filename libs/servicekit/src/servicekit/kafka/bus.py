"""Opens sessions, senders and views on a Kafka cluster; opening one does not wait for it."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

from confluent_kafka import Consumer

from servicekit.kafka.client import Bounds, Clients
from servicekit.kafka.group import KafkaGroupSession
from servicekit.kafka.sender import KafkaSender
from servicekit.kafka.topic_layout import TopicLayout
from servicekit.kafka.topics import Topics
from servicekit.kafka.transactional import KafkaTransactionalSession
from servicekit.kafka.view import KafkaView
from servicekit.settings import ServiceSettings

LINGER_SECONDS = 0.002
"""How long a sender waits for more records to send together."""
PATIENT_LINGER_SECONDS = 0.02
"""The same of a patient sender."""


class KafkaBus:
    """See `Bus`.

    Args:
        bootstrap_servers: Comma-separated `host:port` of some brokers.
        layout: Of the topics that are created.
        options: More settings of librdkafka, such as `security.protocol`.
        request_seconds: How long one answer of the brokers may take; then it is an outage.
        sender_queue: Records that a sender keeps while they are not acknowledged.
        sender_delivery_seconds: After which a record that no broker took has failed.
        bounds: How much waits in the memory of each client.
    """

    consumer_type: type[Consumer] = Consumer
    session_type: type[KafkaTransactionalSession] = KafkaTransactionalSession

    def __init__(
        self,
        bootstrap_servers: str,
        *,
        layout: TopicLayout | None = None,
        options: Mapping[str, Any] | None = None,
        request_seconds: float = 5.0,
        sender_queue: int = 10_000,
        sender_delivery_seconds: float = 10.0,
        bounds: Bounds | None = None,
    ) -> None:
        self._clients = Clients(
            bootstrap_servers,
            options,
            request_seconds=request_seconds,
            bounds=bounds,
            consumer_type=self.consumer_type,
        )
        self._topics = Topics(self._clients, layout or TopicLayout())
        self._sender_queue = sender_queue
        self._sender_delivery_seconds = sender_delivery_seconds

    @classmethod
    def from_settings(cls, settings: ServiceSettings) -> Self:
        """Return the bus of the cluster that a service's settings name."""
        return cls(
            settings.kafka_bootstrap_servers,
            layout=TopicLayout(
                settings.kafka_partitions, settings.kafka_replication, settings.kafka_topic_options
            ),
            options=settings.client_options(),
            sender_queue=settings.kafka_sender_queue,
            bounds=Bounds(
                prefetch_messages=settings.kafka_prefetch_messages,
                prefetch_bytes=settings.kafka_prefetch_bytes,
                held_messages=settings.kafka_held_messages,
                held_seconds=settings.kafka_held_seconds,
                sender_queue_bytes=settings.kafka_sender_queue_bytes,
            ),
        )

    def transactional(
        self, *, service: str, topics: Sequence[str], slot: int = 0, slots: int = 1
    ) -> KafkaTransactionalSession:
        """See `Bus.transactional`.

        Raises:
            ValueError: there is no such slot.
        """
        if not 0 <= slot < slots:
            raise ValueError(
                f"slot {slot} of {slots} does not exist: REPLICA_SLOT counts from 0 to"
                f" REPLICA_SLOTS - 1"
            )
        return self.session_type(
            self._clients, self._topics, service=service, inputs=topics, slot=slot, slots=slots
        )

    def group(self, *, group: str, topics: Sequence[str], member: str | None) -> KafkaGroupSession:
        """See `Bus.group`."""
        return KafkaGroupSession(
            self._clients, self._topics, group=group, inputs=topics, member=member
        )

    def sender(self, *, polled: bool = False, patient: bool = False) -> KafkaSender:
        """See `Bus.sender`."""
        return KafkaSender(
            self._clients,
            self._topics,
            max_queue=self._sender_queue,
            linger_seconds=PATIENT_LINGER_SECONDS if patient else LINGER_SECONDS,
            delivery_seconds=0 if patient else self._sender_delivery_seconds,
            polled=polled,
        )

    def view(self, *topics: str) -> KafkaView:
        """See `Bus.view`."""
        return KafkaView(self._clients, self._topics, topics)
