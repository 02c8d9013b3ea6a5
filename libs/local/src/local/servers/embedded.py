"""The embedded broker: noida-db, which speaks the Kafka protocol from one small binary.

It is one node without replication, and a kill loses what it has not saved yet. How it differs from
Apache Kafka is written in docs/adr/0002-embedded-broker.md.
"""

from pathlib import Path

from local.endpoint import Endpoint, Protocol
from local.servers.server import LOOPBACK, Server, Stage, executable, package


def server(data: Path, port: int) -> Server:
    """A broker that keeps its topics in the folder `data`.

    Raises:
        ServerError: Its package is not installed.
    """
    # The console script would start this binary as a child, which a kill would miss.
    binary = executable(package("noida_db", "kafka") / "noida-db")
    return Server(
        name="kafka",
        command=(
            *(binary, "start", "--only", "kafka", "--host", LOOPBACK),
            *("--kafka-port", str(port), "--data-dir", str(data)),
        ),
        port=port,
        port_variable="KAFKA_PORT",
        endpoint=Endpoint(Protocol.KAFKA, f"{LOOPBACK}:{port}"),
        stage=Stage.BROKER,
        grace=60.0,  # it writes all its data on the way out, 3 s for 100 MB
    )
