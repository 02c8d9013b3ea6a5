"""The topics that the contracts and the services ask for, created when they are missing."""

import threading
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from event_schemas import BY_TYPE, LabelArrived, PredictionLogged, RecordReceived
from servicekit.errors import FatalBusError
from servicekit.kafka.client import Clients, log
from servicekit.kafka.errors import kafka_error, translate

VOLUMES = frozenset(body.topic() for body in (RecordReceived, PredictionLogged, LabelArrived))
"""Topics that grow with the traffic; all others carry decisions, and have one partition."""

DEAD_RETENTION_DAYS = 30
LOOK_SECONDS = 0.02
"""Between two looks for a new topic."""


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as it is to be."""

    name: str
    partitions: int = 1
    options: dict[str, str] = field(default_factory=dict)


def topic_of(name: str, partitions: int = 1) -> Topic:
    """How a topic is to be, from its name; `partitions` is for those that carry volume."""
    contract = BY_TYPE.get(name)
    if contract is not None:
        count = partitions if name in VOLUMES else 1
        return Topic(name, count, {"cleanup.policy": "compact"} if contract.compacted else {})
    if name.endswith(".dead"):
        retention = DEAD_RETENTION_DAYS * 24 * 3600 * 1000
        # A dead letter is the largest message there may be, plus the headers that explain it.
        return Topic(name, 1, {"retention.ms": str(retention), "max.message.bytes": "2097152"})
    return Topic(name)


def state_topic(name: str, slots: int) -> Topic:
    """The compacted topic that holds one partition of state for each slot."""
    return Topic(name, slots, {"cleanup.policy": "compact"})


class Topics:
    """The topics of one cluster; a topic that exists is never altered."""

    def __init__(
        self, clients: Clients, partitions: int, replication: int, options: Mapping[str, str]
    ) -> None:
        self._clients = clients
        self._timeout = clients.request_seconds
        self._partitions = partitions
        self._replication = replication
        self._options = options
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}

    def ensure(self, names: Iterable[str]) -> None:
        """See that topics exist, and those of every contract with them.

        Raises:
            UnavailableError: the brokers do not answer.
        """
        missing = [name for name in names if name not in self._counts]
        if missing or not self._counts:
            wanted = {name: topic_of(name, self._partitions) for name in [*BY_TYPE, *missing]}
            self._create(wanted)

    def ensure_state(self, name: str, slots: int) -> None:
        """See that a state topic exists, with a partition for each slot.

        Raises:
            UnavailableError: the brokers do not answer.
            FatalBusError: it was made for another number of slots.
        """
        self._create({name: state_topic(name, slots)})
        if self._counts[name] != slots:
            raise FatalBusError(
                f"{name} was made for {self._counts[name]} slots, but there are to be {slots}:"
                f" set REPLICA_SLOTS={self._counts[name]}, or stop all replicas, delete {name} and"
                " start over from the beginning of the topics"
            )

    def partitions(self, name: str) -> int:
        """How many partitions a topic has; it must have been ensured."""
        return self._counts[name]

    def _seen(self, admin: AdminClient, wanted: Collection[str]) -> dict[str, int]:
        """How many partitions each topic has that a broker knows of.

        The controller creates a topic; the brokers hear of it a moment later.
        """
        until = time.monotonic() + self._timeout
        while True:
            existing = admin.list_topics(timeout=self._timeout).topics
            counts = {n: len(existing[n].partitions) for n in wanted if n in existing}
            counts = {name: count for name, count in counts.items() if count}
            if len(counts) == len(wanted) or time.monotonic() > until:
                return counts
            time.sleep(LOOK_SECONDS)

    def _create(self, wanted: dict[str, Topic]) -> None:
        with self._lock:
            try:
                admin = self._clients.admin()
                existing = admin.list_topics(timeout=self._timeout).topics
                new = [
                    NewTopic(
                        topic.name,
                        num_partitions=topic.partitions,
                        replication_factor=self._replication,
                        config={**self._options, **topic.options},
                    )
                    for topic in wanted.values()
                    if topic.name not in existing
                ]
                if new:
                    answers = admin.create_topics(new, request_timeout=self._timeout)
                    for answer in answers.values():
                        try:
                            answer.result()
                        except KafkaException as error:
                            # Every service ensures the same topics, and all start together.
                            if kafka_error(error).code() != KafkaError.TOPIC_ALREADY_EXISTS:
                                raise
                    log.info("created topics: %s", ", ".join(topic.topic for topic in new))
                counts = self._seen(admin, wanted)
            except KafkaException as error:
                raise translate(error, "ensuring topics") from error
            self._counts.update(counts)
            if unseen := wanted.keys() - counts.keys():
                raise translate(
                    KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART),
                    f"waiting for the new topics {', '.join(sorted(unseen))}",
                )
