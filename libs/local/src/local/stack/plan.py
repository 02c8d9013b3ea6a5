"""What `tailrace up` starts, and what it uses of the user's own instead."""

from collections.abc import Callable
from dataclasses import dataclass

from local.endpoint import Endpoint, Protocol
from local.errors import StackError
from local.servers import apache, embedded, mlflow, valkey
from local.servers.server import Server
from local.stack.services import SERVICES
from local.stack.settings import StackSettings

STORES: dict[str, Callable[[StackSettings], list[Server]]] = {
    "kafka": lambda settings: _brokers(settings),
    "valkey": lambda s: [valkey.server(s.layout.data / "valkey", s.valkey_port)],
    "mlflow": lambda s: [mlflow.server(s.layout.data / "mlflow", s.mlflow_port)],
}
NAMES = (*STORES, *(service.name for service in SERVICES))

EXTERNAL = {
    "kafka": "KAFKA_BOOTSTRAP_SERVERS",
    "valkey": "REDIS_URL",
    "mlflow": "MLFLOW_TRACKING_URI",
}
"""The variables that put something of the user's own in the place of a part."""


@dataclass(frozen=True)
class Stack:
    """The parts that are started, and the endpoints of others that are used instead of some."""

    parts: tuple[Server, ...]
    external: dict[str, Endpoint]


def plan(settings: StackSettings, only: tuple[str, ...] = ()) -> Stack:
    """What `tailrace up` starts under these settings.

    Args:
        settings: The settings of the stack.
        only: Names of the parts to start; none means all.

    Raises:
        StackError: `only` names a part that does not exist, or a package is not installed.
    """
    if unknown := sorted(set(only) - set(NAMES)):
        raise StackError(f"there is no part {', '.join(unknown)}: the parts are {', '.join(NAMES)}")
    external = {n: e for n, e in _external(settings).items() if not only or n in only}
    wanted = [name for name in NAMES if (not only or name in only) and name not in external]
    services = {service.name: service for service in SERVICES}
    parts: list[Server] = []
    for name in wanted:
        parts += STORES[name](settings) if name in STORES else [services[name].server(settings)]
    return Stack(tuple(parts), external)


def _external(settings: StackSettings) -> dict[str, Endpoint]:
    found: dict[str, Endpoint] = {}
    if settings.kafka_bootstrap_servers:
        found["kafka"] = Endpoint(Protocol.KAFKA, settings.kafka_bootstrap_servers)
    if settings.redis_url:
        found["valkey"] = Endpoint(Protocol.REDIS, settings.redis_url.get_secret_value())
    if settings.mlflow_tracking_uri:
        found["mlflow"] = Endpoint(Protocol.HTTP, settings.mlflow_tracking_uri, "/health")
    return found


def _brokers(settings: StackSettings) -> list[Server]:
    data, first = settings.layout.data, settings.kafka_port
    if settings.broker == "embedded":
        return [embedded.server(data / "kafka", first)]
    names = ["kafka"] if settings.nodes == 1 else [f"kafka-{n + 1}" for n in range(settings.nodes)]
    nodes = [
        apache.Node(number + 1, first + number, first + 10 + number, data / name)
        for number, name in enumerate(names)
    ]
    pom = settings.kafka_pom
    jars = apache.jars_folder(pom, settings.layout.jars)
    return [apache.server(node, nodes, pom, jars) for node in nodes]
