"""What the topics of a stack hold at one moment, and how far each group has read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition

from event_schemas import BY_TYPE
from local.errors import StackError
from servicekit.kafka import BUSES, KafkaBus
from servicekit.kafka.client import Clients
from servicekit.read_to_end import read_to_end
from servicekit.settings import BrokerKind

SECONDS = 10.0
"""Longest wait for one answer of the broker."""

Partition = tuple[str, int]


@dataclass(frozen=True)
class Inventory:
    """Events and offsets.

    Attributes:
        events: The id of each event that can be read, in the order of its topic's partitions.
        ends: The offset that the next record of each partition gets.
        committed: The next offset that each group reads, by group, topic and partition.
    """

    events: Mapping[Partition, tuple[str, ...]] = field(default_factory=dict)
    ends: Mapping[Partition, int] = field(default_factory=dict)
    committed: Mapping[tuple[str, str, int], int] = field(default_factory=dict)

    def count(self, topic: str) -> int:
        """Events of a topic."""
        return sum(len(ids) for (name, _), ids in self.events.items() if name == topic)


def take(bootstrap_servers: str, kind: BrokerKind) -> Inventory:
    """Read every event that there is, and every offset.

    Raises:
        StackError: The broker does not answer.
    """
    clients = Clients(bootstrap_servers)
    consumer = clients.consumer("drill")
    try:
        ends: dict[Partition, int] = {}
        for name, topic in consumer.list_topics(timeout=SECONDS).topics.items():
            if not name.startswith("__"):
                for number in topic.partitions:
                    where = TopicPartition(name, number)
                    ends[name, number] = consumer.get_watermark_offsets(where, timeout=SECONDS)[1]
        return Inventory(_events(BUSES[kind](bootstrap_servers)), ends, _committed(clients))
    except KafkaException as error:
        raise StackError(f"the broker {bootstrap_servers} does not answer: {error}") from error
    finally:
        consumer.close()


def _events(bus: KafkaBus) -> dict[Partition, tuple[str, ...]]:
    found: dict[Partition, list[str]] = {}
    for message in read_to_end(bus, *BY_TYPE):
        identity = dict(message.headers).get("ce_id", b"").decode("utf-8", "replace")
        found.setdefault((message.topic, message.partition), []).append(identity)
    return {partition: tuple(ids) for partition, ids in found.items()}


def _committed(clients: Clients) -> dict[tuple[str, str, int], int]:
    admin = clients.admin()
    # The library's stubs do not know its type.
    listed: Any = admin.list_consumer_groups(request_timeout=SECONDS).result()
    committed: dict[tuple[str, str, int], int] = {}
    for group in sorted(each.group_id for each in listed.valid):
        asked = admin.list_consumer_group_offsets(
            [ConsumerGroupTopicPartitions(group)], request_timeout=SECONDS
        )
        for answer in asked.values():
            for at in answer.result().topic_partitions:
                committed[group, at.topic, at.partition] = at.offset
    return committed
