"""A turn of the loop is one graph of spans, as a collector receives them."""

import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from event_schemas import ArmMeasured, DataArrived, DriftDetected, RolloutStep
from servicekit.telemetry import tracing


@dataclass(frozen=True)
class Span:
    """What a collector knows of one span."""

    id: bytes
    parent: bytes
    name: str
    service: str
    message: str
    links: tuple[bytes, ...]


@dataclass
class Collector:
    """Takes OTLP over HTTP, and tells which spans hang together."""

    url: str = ""
    spans: dict[bytes, Span] = field(default_factory=dict)

    def take(self, body: bytes) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            for scope in resource.scope_spans:
                for span in scope.spans:
                    told = {a.key: a.value.string_value for a in span.attributes}
                    self.spans[span.span_id] = Span(
                        span.span_id,
                        span.parent_span_id,
                        span.name,
                        told.get("messaging.consumer.group.name", ""),
                        told.get("messaging.message.id", ""),
                        tuple(link.span_id for link in span.links),
                    )

    def orphans(self) -> list[Span]:
        """Spans whose parent, or whose link, nobody sent."""
        known = self.spans.keys() | {b""}
        return [s for s in self.spans.values() if {s.parent, *s.links} - known]

    def graph_of(self, event_id: str) -> list[Span]:
        """The spans that hang together with those that handled an event."""
        neighbours: dict[bytes, set[bytes]] = {}
        for span in self.spans.values():
            for other in (span.parent, *span.links):
                if other:
                    neighbours.setdefault(span.id, set()).add(other)
                    neighbours.setdefault(other, set()).add(span.id)
        reached: set[bytes] = set()
        waiting = [s.id for s in self.spans.values() if s.message == event_id]
        while waiting:
            if (each := waiting.pop()) not in reached:
                reached.add(each)
                waiting.extend(neighbours.get(each, ()))
        return [self.spans[each] for each in reached]


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    taken = Collector()

    class Take(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.path == "/v1/traces":
                taken.take(body)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Take)
    taken.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield taken
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def traced(collector: Collector, new_loop: Callable[[], Any]) -> Any:
    """A first version, a changed world, and a second version, with every span exported."""
    provider = tracing.exporter_of("loop", collector.url, 1.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tracing, "_tracer", provider.get_tracer("loop"))
        patch.setattr(tracing, "_exporting", True)
        loop = new_loop()
        loop.begin()
        loop.live(2)
        loop.changed = True
        loop.live(8)
    provider.shutdown()
    return loop


def handled(spans: list[Span]) -> set[tuple[str, str]]:
    """Which service handled which type."""
    return {(s.service, s.name.removesuffix(" process")) for s in spans if s.service}


def test_no_span_is_an_orphan(traced: Any, collector: Collector) -> None:
    assert len(collector.spans) > 1000
    assert collector.orphans() == []


def test_the_first_version_can_be_followed_from_the_records_that_came_in(
    traced: Any, collector: Collector
) -> None:
    arrived = traced.events(DataArrived)[0]
    spans = collector.graph_of(arrived.id)
    assert handled(spans) >= {
        ("ingest", "record.received"),
        ("trainer", "data.arrived"),
        ("trainer", "retrain.requested"),
        ("trainer", "retrain.decided"),
        ("deployer", "model.approved"),
        ("trainer", "rollout.step"),
    }
    assert any(re.fullmatch(r"POST /v1/datasets/\{dataset\}/records", s.name) for s in spans)


def test_a_turn_of_the_loop_is_one_graph_from_the_drifting_window_to_the_new_champion(
    traced: Any, collector: Collector
) -> None:
    (drift,) = traced.events(DriftDetected)
    spans = collector.graph_of(drift.id)
    assert handled(spans) >= {
        ("drift-monitor", "prediction.logged"),
        ("trainer", "drift.detected"),
        ("trainer", "retrain.requested"),
        ("trainer", "retrain.decided"),
        ("deployer", "model.approved"),
        ("deployer", "arm.measured"),
        ("trainer", "rollout.step"),
    }
    assert any(s.name == "POST /predict" for s in spans)
    messages = {s.message for s in spans}
    _, *later = traced.events(RolloutStep)
    assert len(later) == 4
    assert {step.id for step in later} <= messages
    verdicts = {step.causation_id for step in later[1:]}
    assert verdicts <= {e.id for e in traced.events(ArmMeasured)} & messages
