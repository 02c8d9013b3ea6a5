"""A real broker for tests: noida-db, which speaks the Kafka protocol from one small binary.

With TEST_BROKER=apache it is Apache Kafka, which needs Java and Maven.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from local import apache
from local.process import free_port, running
from servicekit.kafka import BUSES, KafkaBus
from servicekit.settings import BrokerKind

POM = Path("compose/local/pom.xml")
JARS = Path(".tailrace/jars")


@contextmanager
def broker(folder: Path, port: int | None = None) -> Iterator[str]:
    """Run one broker with its data in `folder`, and yield its bootstrap address.

    A second call with the same folder and port finds what the first had stored. Which broker it
    is, the variable TEST_BROKER says: embedded (the default) or apache.

    Raises:
        RuntimeError: The broker did not answer in time, for example because the port is taken.
        ValueError: There is no such kind of broker.
    """
    with KINDS[kind()](folder, port) as bootstrap:
        yield bootstrap


def bus(bootstrap: str, **options: Any) -> KafkaBus:
    """The bus on such a broker; `options` are those of `KafkaBus`."""
    return BUSES[kind()](bootstrap, **options)


def kind() -> BrokerKind:
    """Which broker `broker` starts.

    Raises:
        ValueError: There is no such kind of broker.
    """
    named = os.environ.get("TEST_BROKER") or "embedded"
    if named not in KINDS:
        raise ValueError(f"TEST_BROKER={named}: choose one of {', '.join(KINDS)}")
    return named


@contextmanager
def embedded_broker(folder: Path, port: int | None = None) -> Iterator[str]:
    """See `broker`.

    One node, no replication, and a kill loses what it had not saved yet. How it differs from Apache
    Kafka is written in docs/adr/0002-embedded-broker.md.
    """
    port = port or free_port()
    bootstrap = f"127.0.0.1:{port}"
    # The console script would start this binary as a child, which a kill would then miss.
    binary = Path(str(files("noida_db"))) / "noida-db"
    binary.chmod(0o755)
    command = (
        *(binary, "start", "--only", "kafka", "--host", "127.0.0.1"),
        *("--kafka-port", str(port), "--data-dir", folder / "kafka"),
    )
    with running(command, log=folder / "kafka.log", ready=lambda: answers(bootstrap)):
        yield bootstrap


@contextmanager
def apache_broker(folder: Path, port: int | None = None) -> Iterator[str]:
    """See `broker`; one node of Apache Kafka. The tests run in the root of the checkout."""
    node = apache.Node(1, port or free_port(), free_port(), folder / "kafka")
    jars = apache.jars_folder(POM, JARS)
    apache.fetch(POM, jars)
    apache.prepare(node, [node], jars)
    with running(
        apache.command(node, jars),
        log=folder / "kafka.log",
        ready=lambda: answers(node.address),
        deadline=60.0,
    ):
        yield node.address


KINDS: dict[BrokerKind, Callable[..., AbstractContextManager[str]]] = {
    "embedded": embedded_broker,
    "apache": apache_broker,
}
"""Every kind of broker that can be started here, by its name."""


def answers(bootstrap: str) -> bool:
    """Whether a broker is there and knows of itself."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    try:
        return bool(admin.list_topics(timeout=1.0).brokers)
    except KafkaException:
        return False
