"""A trace goes through HTTP requests and events, exported or not."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from servicekit.event import Event
from servicekit.memory import MemoryBus
from servicekit.publisher import AsyncPublisher
from servicekit.telemetry import tracing
from servicekit.telemetry.tracing import TraceRequests, current_traceparent, handling

GIVEN = f"00-{'a' * 32}-{'b' * 16}-01"
CHILD = Path(__file__).parents[1] / "children" / "traced.py"


async def request(app: Any, *headers: tuple[bytes, bytes]) -> None:
    scope = {"type": "http", "method": "GET", "path": "/x", "headers": list(headers)}
    await TraceRequests(app)(scope, None, None)  # pyright: ignore[reportArgumentType]


def test_the_callers_trace_reaches_the_events_of_the_request(
    contract: Callable[..., Any],
) -> None:
    asked = contract()
    bus = MemoryBus()

    async def app(scope: object, receive: object, send: object) -> None:
        publisher = AsyncPublisher(bus.sender(), "s")
        await publisher.publish(Event(body=asked(name="a"), source="/s", time=bus.clock.now()))

    asyncio.run(request(app, (b"traceparent", GIVEN.encode())))
    (event,) = bus.events(asked)
    assert event.traceparent == GIVEN


@pytest.mark.parametrize("header", [None, b"", b"nonsense", b"00-\xff", b"00-0-0-00"])
def test_a_request_without_a_trace_is_served_as_well(header: bytes | None) -> None:
    seen: list[str | None] = []

    async def app(scope: object, receive: object, send: object) -> None:
        seen.append(current_traceparent())

    asyncio.run(request(app, *([(b"traceparent", header)] if header is not None else [])))
    assert seen == [None]


def test_without_an_exporter_an_event_passes_its_trace_on(contract: Callable[..., Any]) -> None:
    event = Event(
        body=contract()(name="a"), source="/s", time=MemoryBus().clock.now(), traceparent=GIVEN
    )
    with handling(event, "s") as traceparent:
        assert traceparent == GIVEN


@pytest.fixture
def collector() -> Iterator[tuple[str, list[tuple[str, bytes]]]]:
    """Takes what is posted to it."""
    taken: list[tuple[str, bytes]] = []

    class Take(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            taken.append((self.path, body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name
            pass

    server = HTTPServer(("127.0.0.1", 0), Take)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", taken
    server.shutdown()
    thread.join()
    server.server_close()


def test_spans_of_requests_and_events_reach_the_collector_as_one_trace(
    collector: tuple[str, list[tuple[str, bytes]]],
) -> None:
    endpoint, taken = collector
    done = subprocess.run(
        [sys.executable, str(CHILD), endpoint, GIVEN],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )
    said = json.loads(done.stdout)
    spans: dict[str, Any] = {}
    for path, body in taken:
        assert path == "/v1/traces"
        message = ExportTraceServiceRequest.FromString(body)
        for resource in message.resource_spans:
            names = {a.key: a.value.string_value for a in resource.resource.attributes}
            assert names["service.name"] == "traced"
            spans |= {span.name: span for scope in resource.scope_spans for span in scope.spans}
    assert set(spans) == {"GET", "label.arrived process"}
    assert {span.trace_id.hex() for span in spans.values()} == {"a" * 32}
    assert spans["GET"].parent_span_id.hex() == "b" * 16
    assert spans["label.arrived process"].parent_span_id == spans["GET"].span_id
    assert said["output"].split("-")[2] == spans["label.arrived process"].span_id.hex()


def test_a_decision_of_an_unsampled_request_is_traced_on_its_own_and_linked(
    contract: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from servicekit.loops.outputs import handle
    from servicekit.telemetry import tracing
    from servicekit.telemetry.sampling import RequestSampler

    spans = InMemorySpanExporter()
    provider = TracerProvider(sampler=RequestSampler(0.0))
    provider.add_span_processor(SimpleSpanProcessor(spans))
    monkeypatch.setattr(tracing, "_tracer", provider.get_tracer("tests"))
    monkeypatch.setattr(tracing, "_exporting", True)
    asked = contract()
    clock = MemoryBus().clock
    unsampled = GIVEN[:-2] + "00"
    event = Event(body=asked(name="a"), source="/s", time=clock.now(), traceparent=unsampled)

    assert handle(event, lambda _: (), service="s", clock=clock) == []
    assert spans.get_finished_spans() == ()

    (record,) = handle(event, lambda _: [asked(name="b")], service="s", clock=clock)
    (span,) = spans.get_finished_spans()
    assert span.parent is None
    assert [link.context.trace_id for link in span.links] == [int("a" * 32, 16)]
    traceparent = dict(record.headers)["traceparent"].decode()
    assert span.context is not None
    assert traceparent[:52] == f"00-{span.context.trace_id:032x}-{span.context.span_id:016x}"
    assert int(traceparent[53:], 16) & 1


def test_fault_1_9_a_span_holds_no_password_of_an_address(
    contract: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    provider, taken = TracerProvider(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(taken))
    monkeypatch.setattr(tracing, "_exporting", True)
    monkeypatch.setattr(tracing, "_tracer", provider.get_tracer("test"))
    event = Event(body=contract()(name="a"), source="/s", time=MemoryBus().clock.now())
    url = "https://me:secret@mlflow.example"
    with pytest.raises(ValueError, match="secret"), handling(event, "s"):
        raise ValueError(f"{url} is away")
    with pytest.raises(ValueError, match="secret"), tracing.handling_batch([event], "s"):
        raise ValueError(f"{url} is away")
    for span in taken.get_finished_spans():
        assert "secret" not in span.to_json()
        assert span.status.description == "ValueError: https://***@mlflow.example is away"
        assert [each.name for each in span.events] == ["exception"]
    provider.shutdown()
