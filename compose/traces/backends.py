"""Where traces go and are read back: Jaeger, or the MLflow server of the local stack."""

import json
import os
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

from graph import Span

SERVICES = ("ingest", "trainer", "deployer", "predictor", "drift-monitor")
MOST_TRACES = 20_000
GROUP = "messaging.consumer.group.name"
MESSAGE = "messaging.message.id"


class Backend(Protocol):
    """Takes traces of services, and gives them back."""

    name: str
    environment: dict[str, str]
    """What the services are to be told."""
    command: tuple[str, ...]
    """Words for the command that starts them."""

    def spans(self) -> list[Span]:
        """All that it has."""
        ...


class Jaeger:
    """A Jaeger of ours, through the API of its own page."""

    name = "Jaeger"
    command = ()

    def __init__(self, query: str, otlp: str) -> None:
        self._query = query
        self.environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": otlp}

    def ready(self) -> bool:
        """Whether its page answers."""
        try:
            self._get("services")
        except OSError:
            return False
        return True

    def spans(self) -> list[Span]:
        """All that it has; a trace may be told by several services."""
        found = {}
        for service in SERVICES:
            words = {"service": service, "limit": MOST_TRACES, "lookback": "6h"}
            for trace in self._get(f"traces?{urllib.parse.urlencode(words)}"):
                for span in trace["spans"]:
                    made = self._span(span)
                    found[made.id] = made
        return list(found.values())

    def _get(self, path: str) -> Any:
        url = f"{self._query}/api/{path}"
        with urllib.request.urlopen(url, timeout=60) as answer:  # noqa: S310
            return json.load(answer)["data"]

    @staticmethod
    def _span(told: dict[str, Any]) -> Span:
        tags = {tag["key"]: str(tag["value"]) for tag in told["tags"]}
        kinds: dict[str, list[str]] = {"CHILD_OF": [], "FOLLOWS_FROM": []}
        for other in told["references"]:
            kinds[other["refType"]].append(f"{other['traceID']}/{other['spanID']}")
        return Span(
            id=f"{told['traceID']}/{told['spanID']}",
            parent=next(iter(kinds["CHILD_OF"]), ""),
            name=told["operationName"],
            start=told["startTime"] / 1e6,
            service=tags.get(GROUP, ""),
            message=tags.get(MESSAGE, ""),
            links=tuple(kinds["CHILD_OF"][1:] + kinds["FOLLOWS_FROM"]),
        )


class Mlflow:
    """The MLflow server that `TRACES=1` sends to, through its client; it has to stay up."""

    name = "MLflow"
    command = ("--keep",)

    def __init__(self) -> None:
        self.environment = {"TRACES": "1"}
        self._url = f"http://127.0.0.1:{os.environ.get('MLFLOW_PORT') or 15000}"

    def spans(self) -> list[Span]:
        """All of the experiment that its page of traces opens with."""
        os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
        from mlflow import MlflowClient

        client, found, page = MlflowClient(self._url), [], None
        while True:
            traces = client.search_traces(locations=["0"], max_results=100, page_token=page)
            found += [self._span(span) for trace in traces for span in trace.data.spans]
            page = traces.token
            if not page:
                return found

    @staticmethod
    def _span(told: Any) -> Span:
        def name(trace: str, span: str) -> str:
            return f"{trace.removeprefix('tr-')}/{span}"

        return Span(
            id=name(told.trace_id, told.span_id),
            parent=name(told.trace_id, told.parent_id) if told.parent_id else "",
            name=told.name,
            start=told.start_time_ns / 1e9,
            service=str(told.attributes.get(GROUP, "")),
            message=str(told.attributes.get(MESSAGE, "")),
            links=tuple(name(link.trace_id, link.span_id) for link in told.links),
        )


@contextmanager
def jaeger(binary: str) -> Iterator[Jaeger]:
    """A Jaeger on free ports of loopback, its traces in memory; gone afterwards.

    Raises:
        RuntimeError: It did not start.
    """
    query, grpc, otlp = (_free_port() for _ in range(3))
    with tempfile.TemporaryDirectory(prefix="jaeger-") as folder:
        config, log = Path(folder) / "config.json", Path(folder) / "log"
        # YAML is a superset of JSON.
        config.write_text(json.dumps(_configuration(query, grpc, otlp)))
        with log.open("wb") as output:
            process = subprocess.Popen(
                [binary, f"--config=file:{config}"], stdout=output, stderr=subprocess.STDOUT
            )
        try:
            server = Jaeger(f"http://127.0.0.1:{query}", f"http://127.0.0.1:{otlp}")
            until = time.monotonic() + 60
            while not server.ready():
                if process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"{binary} did not start: {log.read_text()[-2000:]}")
                time.sleep(0.1)
            yield server
        finally:
            process.terminate()
            process.wait(30)


@contextmanager
def mlflow() -> Iterator[Mlflow]:
    """The one of the local stack, which is taken down afterwards."""
    yield Mlflow()


def chosen(name: str | None) -> Any:
    """The backend of a name; without one, Jaeger where there is one."""
    binary = shutil.which(os.environ.get("JAEGER", "jaeger"))
    if name == "jaeger" and binary is None:
        raise SystemExit(
            "jaeger is missing: put the release on PATH, or name it by JAEGER"
            " (github.com/jaegertracing/jaeger, go build ./cmd/jaeger)"
        )
    return jaeger(binary) if binary and name != "mlflow" else mlflow()


def _configuration(query: int, grpc: int, otlp: int) -> dict[str, Any]:
    store = {"memory": {"max_traces": 200_000}}
    return {
        "service": {
            "extensions": ["jaeger_storage", "jaeger_query"],
            "pipelines": {
                "traces": {"receivers": ["otlp"], "exporters": ["jaeger_storage_exporter"]}
            },
            "telemetry": {"metrics": {"level": "none"}},
        },
        "extensions": {
            "jaeger_storage": {"backends": {"memory": store}},
            "jaeger_query": {
                "storage": {"traces": "memory"},
                "http": {"endpoint": f"127.0.0.1:{query}"},
                "grpc": {"endpoint": f"127.0.0.1:{grpc}"},
            },
        },
        "receivers": {"otlp": {"protocols": {"http": {"endpoint": f"127.0.0.1:{otlp}"}}}},
        "exporters": {"jaeger_storage_exporter": {"trace_storage": "memory"}},
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
