"""The topics that the contracts and the services ask for, created when they are missing."""

import threading
import time
from collections.abc import Collection, Iterable

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from event_schemas import BY_TYPE
from event_schemas.catalog import LOOPS
from event_schemas.topics import DEAD, Topic, topic_named
from servicekit.errors import FatalBusError
from servicekit.kafka.client import Clients, log
from servicekit.kafka.errors import is_refused, kafka_error, translate
from servicekit.kafka.topic_layout import TopicLayout

POLL_SECONDS = 0.02
"""Between two requests for the partitions of a new topic."""


class Topics:
    """The topics of one cluster; a topic that exists is never altered."""

    def __init__(self, clients: Clients, layout: TopicLayout) -> None:
        self._clients = clients
        self._timeout = clients.request_seconds
        self._layout = layout
        self._lock = threading.Lock()
        self._counts: dict[str, int] = {}
        self._admin: AdminClient | None = None
        """Kept while it gets no answer: one that is made anew connects anew, on threads of its own.
        """

    def ensure(self, names: Iterable[str]) -> None:
        """Create what is missing of some topics and of every contract's.

        Raises:
            UnavailableError: the brokers do not answer.
        """
        missing = [name for name in names if name not in self._counts]
        if missing or not self._counts:
            dead = [service + DEAD for service in LOOPS]
            topics = map(topic_named, dict.fromkeys([*BY_TYPE, *dead, *missing]))
            self._create(((topic, self._layout.count(topic)) for topic in topics), set(missing))

    def ensure_state(self, name: str, slots: int) -> None:
        """Create a state topic if it is missing, with a partition for each slot.

        Raises:
            UnavailableError: the brokers do not answer.
            FatalBusError: it was made for another number of slots.
        """
        self._create([(topic_named(name), slots)], {name})
        if self._counts[name] != slots:
            raise FatalBusError(
                f"{name} was made for {self._counts[name]} slots, but there are to be {slots}:"
                f" set REPLICA_SLOTS={self._counts[name]}, or stop all replicas, delete {name} and"
                " have each slot start over with --from earliest"
            )

    def partitions(self, name: str) -> int:
        """Return how many partitions a topic has; `ensure` has to come first."""
        return self._counts[name]

    def _await_partitions(self, admin: AdminClient, wanted: Collection[str]) -> dict[str, int]:
        """Return how many partitions each topic has, once a broker knows of all.

        The controller creates a topic; the brokers learn of it a moment later.
        """
        until = time.monotonic() + self._timeout
        while True:
            existing = admin.list_topics(timeout=self._timeout).topics
            counts = {n: len(existing[n].partitions) for n in wanted if n in existing}
            counts = {name: count for name, count in counts.items() if count}
            if len(counts) == len(wanted) or time.monotonic() > until:
                return counts
            time.sleep(POLL_SECONDS)

    def _create(self, wanted: Iterable[tuple[Topic, int]], needed: Collection[str]) -> None:
        """Create what is missing of some topics, each with so many partitions.

        A topic that this user has no right to see looks as if it were missing: that only matters
        where it is needed.
        """
        wanted = list(wanted)
        names = {topic.name for topic, _ in wanted}
        with self._lock:
            if self._admin is None:  # one without topics is false
                self._admin = self._clients.admin()
            admin = self._admin
            try:
                existing = admin.list_topics(timeout=self._timeout).topics
                new = [
                    NewTopic(
                        topic.name,
                        num_partitions=count,
                        replication_factor=self._layout.replication,
                        config=self._layout.config(topic),
                    )
                    for topic, count in wanted
                    if topic.name not in existing
                ]
                if new:
                    answers = admin.create_topics(new, request_timeout=self._timeout)
                    for name, answer in answers.items():
                        try:
                            answer.result()
                        except KafkaException as error:
                            # Every service ensures the same topics, and all start together.
                            if kafka_error(error).code() == KafkaError.TOPIC_ALREADY_EXISTS:
                                continue
                            if name in needed or not is_refused(kafka_error(error)):
                                raise
                            names.discard(name)
                    if made := [topic.topic for topic in new if topic.topic in names]:
                        log.info("created topics: %s", ", ".join(made))
                counts = self._await_partitions(admin, names)
            except KafkaException as error:
                # The error itself says only that nobody answered; the callback gets the reason.
                admin.poll(0)
                raise translate(error, self._doing(error)) from error
            self._counts.update(counts)
            if unseen := names - counts.keys():
                raise translate(
                    KafkaError(KafkaError.UNKNOWN_TOPIC_OR_PART),
                    f"waiting for the new topics {', '.join(sorted(unseen))}",
                )
            self._admin = None

    def _doing(self, error: KafkaException) -> str:
        if cause := self._clients.errors.cause:
            return f"ensuring topics ({cause})"
        if kafka_error(error).code() in (KafkaError._TRANSPORT, KafkaError._TIMED_OUT):
            # A listener that wants TLS or a password hangs up without a word on one that does not.
            return (
                f"ensuring topics (nobody answers at {self._clients.bootstrap_servers}: is it up,"
                " and are KAFKA_BOOTSTRAP_SERVERS and KAFKA_SECURITY_PROTOCOL right?)"
            )
        return "ensuring topics"
