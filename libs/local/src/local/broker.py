"""A real broker for tests: the embedded one, or Apache Kafka with TEST_BROKER=apache."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from local.process import free_port, running
from local.servers import apache, embedded
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
    """See `broker`."""
    server = embedded.server(folder / "kafka", port or free_port())
    with running(server.command, log=folder / "kafka.log", ready=server.endpoint.ready):
        yield server.endpoint.address


@contextmanager
def apache_broker(folder: Path, port: int | None = None) -> Iterator[str]:
    """See `broker`; one node of Apache Kafka. The tests run in the root of the checkout."""
    node = apache.Node(1, port or free_port(), free_port(), folder / "kafka")
    with apache_node(node, folder / "kafka.log"):
        yield node.address


@contextmanager
def apache_node(
    node: apache.Node,
    log: Path,
    *,
    ready: Callable[[], bool] | None = None,
    text: str | None = None,
    scram: Sequence[str] = (),
) -> Iterator[None]:
    """Run a cluster of one node; see `apache.prepare` for `text` and `scram`."""
    jars = apache.jars_folder(POM, JARS)
    apache.fetch(POM, jars)
    apache.prepare(node, [node], jars, text=text, scram=scram)
    server = apache.server(node, [node], POM, jars)
    ready = ready or server.endpoint.ready
    with running(server.command, log=log, ready=ready, deadline=60.0):
        yield


KINDS: dict[BrokerKind, Callable[..., AbstractContextManager[str]]] = {
    "embedded": embedded_broker,
    "apache": apache_broker,
}
"""Every kind of broker that can be started here, by its name."""
