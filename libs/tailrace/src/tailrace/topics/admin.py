"""Looks at the topics of a cluster, and changes them as a plan says."""

from collections.abc import Iterable, Mapping
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import (
    AdminClient,
    AlterConfigOpType,  # pyright: ignore[reportPrivateImportUsage]
    ConfigEntry,  # pyright: ignore[reportPrivateImportUsage]
    ConfigResource,  # pyright: ignore[reportPrivateImportUsage]
    ResourceType,  # pyright: ignore[reportPrivateImportUsage]
)
from confluent_kafka.cimpl import NewPartitions, NewTopic

from servicekit.kafka.errors import translate
from tailrace.topics.plan import Action, Change, Found

SECONDS = 20.0
"""Longest wait for one answer of the brokers: people look on, and no loop waits."""


class TopicAdmin:
    """The topics of one cluster, for people.

    Args:
        bootstrap_servers: Comma-separated `host:port` of some brokers.
        options: More settings of librdkafka, such as `security.protocol`.
    """

    def __init__(self, bootstrap_servers: str, options: Mapping[str, Any]) -> None:
        self._admin = AdminClient({"bootstrap.servers": bootstrap_servers, **options})

    def found(self, names: Iterable[str]) -> dict[str, Found]:
        """Those of some topics that exist.

        Raises:
            UnavailableError: the brokers do not answer.
            FatalBusError: they refuse to tell.
        """
        try:
            existing = self._admin.list_topics(timeout=SECONDS).topics
            present = {name: existing[name] for name in names if name in existing}
            configs = self._configs(list(present))
        except KafkaException as error:
            raise translate(error, "looking at topics") from error
        return {
            name: Found(
                len(topic.partitions),
                min((len(p.replicas) for p in topic.partitions.values()), default=0),
                configs[name],
            )
            for name, topic in present.items()
        }

    def _configs(self, names: list[str]) -> dict[str, dict[str, str]]:
        resources = [ConfigResource(ResourceType.TOPIC, name) for name in names]
        if not resources:
            return {}
        answers = self._admin.describe_configs(resources, request_timeout=SECONDS)
        return {
            resource.name: {name: str(entry.value) for name, entry in answer.result().items()}
            for resource, answer in answers.items()
        }

    def apply(self, change: Change) -> None:
        """Make one change; a refusal or a note changes nothing.

        Raises:
            UnavailableError: the brokers do not answer, or say no for now.
            FatalBusError: they refuse it.
        """
        try:
            for answer in self._begin(change).values():
                answer.result()
        except KafkaException as error:
            raise translate(error, f"changing {change.topic}") from error

    def _begin(self, change: Change) -> Mapping[Any, Any]:
        if change.action is Action.CREATE:
            topic = NewTopic(
                change.topic,
                num_partitions=change.partitions,
                replication_factor=change.copies,
                config=dict(change.config),
            )
            return self._admin.create_topics([topic], request_timeout=SECONDS)
        if change.action is Action.GROW:
            more = NewPartitions(change.topic, change.partitions)
            return self._admin.create_partitions([more], request_timeout=SECONDS)
        if change.action is Action.CONFIGURE:
            entries = [
                ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
                for name, value in change.config.items()
            ]
            resource = ConfigResource(ResourceType.TOPIC, change.topic, incremental_configs=entries)
            return self._admin.incremental_alter_configs([resource], request_timeout=SECONDS)
        return {}
