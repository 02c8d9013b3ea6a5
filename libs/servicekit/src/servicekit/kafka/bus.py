"""Opens sessions, senders and views on a Kafka cluster; nothing waits for it."""

from collections.abc import Mapping, Sequence
from typing import Any

from servicekit.kafka.client import Bounds, Clients
from servicekit.kafka.group import KafkaGroupSession
from servicekit.kafka.layout import TopicLayout
from servicekit.kafka.sender import KafkaSender
from servicekit.kafka.topics import Topics
from servicekit.kafka.transactional import KafkaTransactionalSession
from servicekit.kafka.view import KafkaView
from servicekit.settings import ServiceSettings


class KafkaBus:
    """See `Bus`."""

    def __init__(
        self,
        bootstrap_servers: str,
        *,
        partitions: int = 1,
        replication: int = -1,
        topic_options: Mapping[str, str] | None = None,
        options: Mapping[str, Any] | None = None,
        idle_rest_seconds: float = 0.0,
        request_seconds: float = 5.0,
        sender_queue: int = 10_000,
        sender_linger_seconds: float = 0.002,
        sender_delivery_seconds: float = 10.0,
        patient_linger_seconds: float = 0.02,
        new_transactional_ids: bool = False,
        bounds: Bounds | None = None,
    ) -> None:
        """Knows where the brokers are.

        Args:
            bootstrap_servers: comma-separated `host:port` of some brokers.
            partitions: of the topics that carry volume, when they are created.
            replication: copies of a topic that is created; -1 leaves it to the brokers.
            topic_options: see `TopicLayout`.
            options: more settings of librdkafka, such as `security.protocol`.
            idle_rest_seconds: see `RestingConsumer`.
            request_seconds: how long one answer of the brokers may take; then it is an outage.
            sender_queue: records that a sender keeps while they are not acknowledged.
            sender_linger_seconds: how long a sender waits for more records to send together.
            sender_delivery_seconds: after which a record that no broker took has failed.
            patient_linger_seconds: as `sender_linger_seconds`, of a patient sender.
            new_transactional_ids: whether each producer of transactions takes an id of its own,
                for a broker that never forgets an abort: see `next_transactional_id`.
            bounds: how much waits in the memory of each client.
        """
        self._clients = Clients(
            bootstrap_servers,
            options,
            idle_rest_seconds,
            request_seconds,
            new_transactional_ids,
            bounds,
        )
        self._topics = Topics(
            self._clients, TopicLayout(partitions, replication, topic_options or {})
        )
        self._sender_queue = sender_queue
        self._sender_linger_seconds = sender_linger_seconds
        self._sender_delivery_seconds = sender_delivery_seconds
        self._patient_linger_seconds = patient_linger_seconds

    @classmethod
    def of(cls, settings: ServiceSettings) -> "KafkaBus":
        """The cluster that a service's settings name."""
        return cls(
            settings.kafka_bootstrap_servers,
            partitions=settings.kafka_partitions,
            replication=settings.kafka_replication,
            topic_options=settings.kafka_topic_options,
            options=settings.client_options(),
            idle_rest_seconds=settings.kafka_idle_rest_seconds,
            new_transactional_ids=settings.kafka_new_transactional_ids,
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
        return KafkaTransactionalSession(
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
            linger_seconds=(
                self._patient_linger_seconds if patient else self._sender_linger_seconds
            ),
            delivery_seconds=0 if patient else self._sender_delivery_seconds,
            polled=polled,
        )

    def view(self, *topics: str) -> KafkaView:
        """See `Bus.view`."""
        return KafkaView(self._clients, self._topics, topics)
