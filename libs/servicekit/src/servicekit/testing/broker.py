"""A real broker for tests: noida-db, which speaks the Kafka protocol from one small binary."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from servicekit.testing.process import free_port, running


@contextmanager
def embedded_broker(folder: Path, port: int | None = None) -> Iterator[str]:
    """Run a broker with its data in `folder`, and yield its bootstrap address.

    One node, no replication. A second call with the same folder and port finds what the broker
    had saved. How it differs from Apache Kafka is written in docs/adr/0002-embedded-broker.md.

    Raises:
        RuntimeError: The broker did not answer in time, for example because the port is taken.
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
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})

    def answers() -> bool:
        try:
            return bool(admin.list_topics(timeout=1.0).brokers)
        except KafkaException:
            return False

    with running(command, log=folder / "kafka.log", ready=answers):
        yield bootstrap
