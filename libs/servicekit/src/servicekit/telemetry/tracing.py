"""Trace context through HTTP and events: each part of a turn of the loop is a span of one trace."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry import context, trace
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from servicekit.event import Event

_tracer = trace.get_tracer("servicekit")
_propagator = TraceContextTextMapPropagator()
_exporting = False


def configure_tracing(service: str, endpoint: str | None) -> None:
    """Export spans to an OTLP/HTTP collector; without an endpoint, only pass contexts on.

    Args:
        service: `service.name` of the spans.
        endpoint: base URL of the collector, e.g. `http://127.0.0.1:4318`.
    """
    global _exporting
    if endpoint is None or _exporting:
        return
    # Imported here: the exporter costs every start 0.2 s, and most run without it.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": service}))
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    _exporting = True


def flush_tracing(timeout: float) -> None:
    """Hand over the spans that are left, for at most `timeout` seconds."""
    flush = getattr(trace.get_tracer_provider(), "force_flush", None)
    if _exporting and flush is not None:
        flush(timeout_millis=int(timeout * 1000))


def exporting() -> bool:
    """Whether spans leave this process; if not, none are made."""
    return _exporting


def current_traceparent() -> str | None:
    """The W3C `traceparent` of the current span, or None outside of any."""
    if not trace.get_current_span().get_span_context().is_valid:
        return None
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return carrier.get("traceparent")


@contextmanager
def handling(event: Event, service: str) -> Iterator[str | None]:
    """A consumer span around the handling of an event; yields the `traceparent` for its outputs."""
    if not _exporting:
        yield event.traceparent
        return
    parent = _propagator.extract({"traceparent": event.traceparent} if event.traceparent else {})
    with _tracer.start_as_current_span(
        f"{event.body.type} process",
        context=parent,
        kind=SpanKind.CONSUMER,
        attributes={
            "messaging.system": "kafka",
            "messaging.operation.type": "process",
            "messaging.destination.name": event.body.topic(),
            "messaging.consumer.group.name": service,
            "messaging.message.id": event.id,
        },
    ):
        yield current_traceparent()


class TraceRequests:
    """ASGI middleware: takes the caller's `traceparent` over, and makes a server span of it.

    A request without one costs a look at its headers when nothing is exported.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = next((v for k, v in scope["headers"] if k == b"traceparent"), None)
        if given is None and not _exporting:
            await self._app(scope, receive, send)
            return
        parent = _propagator.extract({"traceparent": given.decode("latin-1")} if given else {})
        if not _exporting:
            token = context.attach(parent)
            try:
                await self._app(scope, receive, send)
            finally:
                context.detach(token)
            return
        await self._traced(scope, receive, send, parent)

    async def _traced(self, scope: Scope, receive: Receive, send: Send, parent: Any) -> None:
        method = scope["method"]
        with _tracer.start_as_current_span(
            method,
            context=parent,
            kind=SpanKind.SERVER,
            attributes={"http.request.method": method, "url.path": scope["path"]},
        ) as span:

            async def note_status(message: Message) -> None:
                if message["type"] == "http.response.start":
                    span.set_attribute("http.response.status_code", message["status"])
                    if message["status"] >= 500:
                        span.set_status(StatusCode.ERROR)
                await send(message)

            try:
                await self._app(scope, receive, note_status)
            finally:
                # The router knows the path's template only once it has matched.
                if route := getattr(scope.get("route"), "path", None):
                    span.update_name(f"{method} {route}")
                    span.set_attribute("http.route", route)
