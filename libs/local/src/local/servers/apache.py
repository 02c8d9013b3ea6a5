"""Apache Kafka as processes of this machine: its jars, its configuration, how a node is started."""

import os
import shutil
import subprocess
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from local.endpoint import Endpoint, Protocol
from local.errors import ServerError
from local.servers.server import LOOPBACK, Server, Stage

CLUSTER_ID = urlsafe_b64encode(b"tailrace cluster").decode().rstrip("=")
"""16 bytes in base64, as Kafka wants it. A node refuses to join a cluster of another id."""

HEAP = "512m"
FETCH_SECONDS = 600
FORMAT_SECONDS = 60


@dataclass(frozen=True)
class Node:
    """A broker that is a KRaft controller as well.

    Attributes:
        number: Its id, from 1.
        port: Where clients reach it.
        controller_port: Where the other nodes reach it.
        folder: Holds its configuration and its data.
    """

    number: int
    port: int
    controller_port: int
    folder: Path

    @property
    def address(self) -> str:
        """Where clients reach it, as `host:port`."""
        return f"{LOOPBACK}:{self.port}"

    @property
    def configuration(self) -> Path:
        """Its `server.properties`."""
        return self.folder / "server.properties"


def properties(node: Node, nodes: Sequence[Node], **more: str) -> str:
    """The text of a node's `server.properties`.

    Three nodes keep three copies of everything, and acknowledge what two of them have.

    Args:
        node: The node that reads it.
        nodes: All nodes of the cluster.
        more: Further lines, which win over those that are written here.
    """
    copies = min(3, len(nodes))
    enough = max(1, copies - 1)
    voters = ",".join(f"{n.number}@{LOOPBACK}:{n.controller_port}" for n in nodes)
    values = {
        "process.roles": "broker,controller",
        "node.id": node.number,
        "controller.quorum.voters": voters,
        "listeners": f"PLAINTEXT://{LOOPBACK}:{node.port},"
        f"CONTROLLER://{LOOPBACK}:{node.controller_port}",
        "advertised.listeners": f"PLAINTEXT://{LOOPBACK}:{node.port}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PLAINTEXT",
        "log.dirs": node.folder / "data",
        "default.replication.factor": copies,
        "min.insync.replicas": enough,
        "offsets.topic.replication.factor": copies,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": enough,
        # Fifty partitions each, as is usual, are seconds of every start on one disk.
        "offsets.topic.num.partitions": 5,
        "transaction.state.log.num.partitions": 5,
        "group.initial.rebalance.delay.ms": 0,
        # A misspelt topic is an error.
        "auto.create.topics.enable": "false",
        # Dead for five seconds is dead: on one machine no network is slow.
        "broker.session.timeout.ms": 5000,
        "broker.heartbeat.interval.ms": 1000,
    }
    return "".join(f"{name}={value}\n" for name, value in (values | more).items())


def jars_folder(pom: Path, into: Path) -> Path:
    """Where the jars lie that a `pom.xml` names.

    Args:
        pom: Names the version as its property `kafka.version`.
        into: Holds a folder for each version.

    Raises:
        ServerError: There is no such file, or no such property in it.
    """
    return into.absolute() / f"apache-kafka-{_version(pom)}"


def fetch(pom: Path, jars: Path) -> None:
    """Fetch the jars that a `pom.xml` names, unless they are there.

    Args:
        pom: What to fetch.
        jars: Where to, see `jars_folder`; whole or not there at all.

    Raises:
        ServerError: Maven is missing or failed; the message holds its last words.
    """
    if jars.is_dir():
        return
    maven = shutil.which("mvn")
    if maven is None:
        raise ServerError("Apache Kafka is fetched with Maven: install mvn, version 3.6 or up")
    partial = jars.with_name(f"{jars.name}.{os.getpid()}")
    command = (
        *(maven, "--batch-mode", "--quiet", "--file", str(pom), "dependency:copy-dependencies"),
        *("-DincludeScope=runtime", f"-DoutputDirectory={partial}"),
    )
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=FETCH_SECONDS)
        if done.returncode:
            raise ServerError(f"mvn could not fetch what {pom} names: {_end(done.stdout)}")
        if not jars.is_dir():
            partial.rename(jars)
    except subprocess.TimeoutExpired:
        raise ServerError(f"mvn had not fetched it after {FETCH_SECONDS} s") from None
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def prepare(
    node: Node,
    nodes: Sequence[Node],
    jars: Path,
    *,
    text: str | None = None,
    scram: Sequence[str] = (),
) -> None:
    """Write a node's configuration, and format its storage when it has none.

    Args:
        node: The node.
        nodes: All nodes of the cluster.
        jars: See `jars_folder`.
        text: Its `server.properties`; by default what `properties` says.
        scram: Users that the new cluster knows, as `kafka-storage format --add-scram` takes them.

    Raises:
        ServerError: The storage cannot be formatted.
    """
    node.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    node.configuration.write_text(text or properties(node, nodes))
    if (node.folder / "data" / "meta.properties").exists():
        return
    command = (
        *(*_java(jars), "kafka.tools.StorageTool", "format"),
        *("--cluster-id", CLUSTER_ID, "--config", str(node.configuration)),
        *(word for user in scram for word in ("--add-scram", user)),
    )
    done = subprocess.run(command, capture_output=True, text=True, timeout=FORMAT_SECONDS)
    if done.returncode:
        words = _end(done.stdout + done.stderr)
        raise ServerError(f"the storage of node {node.number} cannot be formatted: {words}")


def server(node: Node, nodes: Sequence[Node], pom: Path, jars: Path) -> Server:
    """A node as a server, which lasts until SIGTERM; Java itself, so that a kill hits it.

    Args:
        node: The node.
        nodes: All nodes of the cluster.
        pom: What to fetch, unless it is there.
        jars: See `jars_folder`.

    Raises:
        ServerError: There is no Java.
    """

    def fetch_and_prepare() -> None:
        fetch(pom, jars)
        prepare(node, nodes, jars)

    return Server(
        name="kafka" if len(nodes) == 1 else f"kafka-{node.number}",
        command=(*_java(jars), "kafka.Kafka", str(node.configuration)),
        port=node.port,
        port_variable="KAFKA_PORT",
        endpoint=Endpoint(Protocol.KAFKA, node.address),
        stage=Stage.BROKER,
        prepare=fetch_and_prepare,
    )


def _java(jars: Path) -> tuple[str, ...]:
    java = shutil.which("java")
    if java is None:
        raise ServerError("Apache Kafka runs on Java: install version 17 or up")
    return (
        *(java, f"-Xmx{HEAP}", f"-Xms{HEAP}", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError"),
        *("-Djava.awt.headless=true", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"),
        *("-Dorg.slf4j.simpleLogger.showDateTime=true", "-cp", f"{jars}/*"),
    )


def _version(pom: Path) -> str:
    found = None
    if pom.is_file():
        # A file of this repository, or one that the user names.
        tree = ElementTree.parse(pom)  # noqa: S314
        found = tree.findtext(".//{*}properties/{*}kafka.version")
    if not found:
        raise ServerError(f"{pom} does not say a kafka.version: is this a checkout's root?")
    return found


def _end(output: str) -> str:
    return " | ".join(output.splitlines()[-5:]) or "it said nothing"
