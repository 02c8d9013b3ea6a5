"""The services of the local stack, each with the environment that it needs."""

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from local.endpoint import Endpoint, Protocol
from local.servers.python import QUIET, thread_limits
from local.servers.server import LOOPBACK, Server, Stage
from local.stack.settings import StackSettings

EMBEDDED_TOPICS = {
    "retention.bytes": str(24 * 1024 * 1024),
    "segment.bytes": str(1024 * 1024),
    "segment.ms": "10000",
    "min.cleanable.dirty.ratio": "0.1",
    "delete.retention.ms": "60000",
}
"""Options of the embedded broker's topics: it rewrites all that it holds after every change (ADR
0002), so it is given little to hold. An hour of the demo's traffic fits."""


@dataclass(frozen=True)
class Service:
    """What differs between the processes of the services."""

    name: str
    words: tuple[str, ...]
    port_variable: str
    threads: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)

    def server(self, settings: StackSettings) -> Server:
        """The process under these settings."""
        port = int(getattr(settings, self.port_variable.lower()))
        script, *words = self.words
        address = f"http://{_reachable(settings.http_host)}:{port}"
        return Server(
            name=self.name,
            command=(str(Path(sys.executable).with_name(script)), *words),
            host=settings.http_host,
            port=port,
            port_variable=self.port_variable,
            endpoint=Endpoint(Protocol.HTTP, address),
            stage=Stage.SERVICE,
            environment={
                **thread_limits(self.threads),
                **QUIET,
                **_shared(settings),
                "HTTP_PORT": str(port),
                **{k: os.environ.get(k, value) for k, value in self.environment.items()},
            },
        )


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


def _shared(settings: StackSettings) -> dict[str, str]:
    """The variables of every service."""
    layout = settings.layout
    return {
        **_stores(settings),
        **(_traces(settings) if settings.traces else {}),
        "LAKE_URI": settings.lake_uri or str(layout.lake),
        "FEAST_REPO": settings.feast_repo or str(layout.feast),
        "REPORT_DIR": str(layout.data / "drift-reports"),
        "MODEL_CACHE": str(layout.data / "model-cache"),
        "SPOOL_DIR": str(layout.data / "prediction-spool"),
        "WORK_DIR": str(layout.data / "trainer"),
        "MODELS_DIR": str(settings.models_dir.absolute()),
        "HTTP_HOST": settings.http_host,
        "LOG_LEVEL": settings.log_level,
    }


def _stores(settings: StackSettings) -> dict[str, str]:
    """Broker and stores, as far as the stack runs them.

    What the user set is inherited by the process, so that no password is written to a file.
    """
    stores = {
        "KAFKA_BOOTSTRAP_SERVERS": settings.bootstrap_servers,
        "REDIS_URL": f"redis://{LOOPBACK}:{settings.valkey_port}/0",
        "MLFLOW_TRACKING_URI": f"http://{LOOPBACK}:{settings.mlflow_port}",
    }
    own = {name: v for name, v in stores.items() if getattr(settings, name.lower()) is None}
    if settings.embedded:
        own |= {
            "KAFKA_TOPIC_OPTIONS": json.dumps(EMBEDDED_TOPICS),
            "KAFKA_BROKER_KIND": settings.broker_kind,
            "SCORE_REQUESTED_MEMBER": "0",
        }
    return own


def _traces(settings: StackSettings) -> dict[str, str]:
    """Send spans to MLflow, unless the user names another collector."""
    exporter = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": settings.mlflow_tracking_uri
        or f"http://{LOOPBACK}:{settings.mlflow_port}",
        # MLflow keeps a trace in an experiment, and turns it down without one.
        "OTEL_EXPORTER_OTLP_HEADERS": "x-mlflow-experiment-id=0",
        # It writes each trace to its database; the loop's own are traced whatever this says.
        "TRACE_REQUEST_RATIO": "0.001",
    }
    return {name: value for name, value in exporter.items() if name not in os.environ}


def _reachable(host: str) -> str:
    """Where a client on this machine finds what listens on `host`."""
    if host in ("0.0.0.0", "::"):  # noqa: S104 compared, not bound
        return LOOPBACK
    return f"[{host}]" if ":" in host else host
