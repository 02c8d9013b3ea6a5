"""Trace context through HTTP and events: each part of a turn of the loop is a span of one trace.

Requests are many and sampled; what decides is rare and always traced. A decision that a request
brought about which was not sampled begins a trace of its own, linked to that request.
"""

import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from opentelemetry import context, trace
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from servicekit.event import Event
from servicekit.redaction import redacted

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

_tracer = trace.get_tracer("servicekit")
_propagator = TraceContextTextMapPropagator()
_exporting = False

MAX_LINKS = 128
"""Links of one span; a collector drops what is beyond."""


def configure_tracing(service: str, endpoint: str | None, request_ratio: float = 1.0) -> None:
    """Export spans to an OTLP/HTTP collector at an endpoint such as `http://127.0.0.1:4318`.

    Without one, only pass contexts on. Of the requests whose caller does not say, a `request_ratio`
    is traced.
    """
    global _exporting
    if endpoint is None or _exporting:
        return
    trace.set_tracer_provider(exporter_of(service, endpoint, request_ratio))
    _exporting = True


def exporter_of(service: str, endpoint: str, request_ratio: float) -> "TracerProvider":
    """What makes spans and exports them; see `configure_tracing`."""
    # Imported here: the exporter costs every start 0.2 s, and most run without it.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    from servicekit.telemetry.sampling import RequestSampler

    provider = TracerProvider(
        resource=Resource.create({"service.name": service}), sampler=RequestSampler(request_ratio)
    )
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider


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


def traced(events: Iterable[Event]) -> list[Event]:
    """The events, in the trace of the current span unless they have one of their own."""
    traceparent = current_traceparent()
    if traceparent is None:
        return list(events)
    return [e if e.traceparent else replace(e, traceparent=traceparent) for e in events]


@contextmanager
def handling(event: Event, service: str) -> Iterator[str | None]:
    """A consumer span around the handling of an event; yields the `traceparent` for its outputs."""
    if not _exporting:
        yield event.traceparent
        return
    parent = _extract(event.traceparent)
    with _span(**_consumer(event, service), context=parent):
        yield current_traceparent()


def decided(event: Event, service: str, began: int) -> str | None:
    """The `traceparent` of what an event brought about, when it was handled in the current span.

    Where that span is not sampled, a trace begins here, which is linked to the event's. `began` is
    when the handling did, in nanoseconds since 1970.
    """
    if not _exporting:
        return event.traceparent
    if trace.get_current_span().is_recording():
        return current_traceparent()
    origin = _context_of(event.traceparent)
    span = _tracer.start_span(
        **_consumer(event, service),
        context=context.Context(),
        links=[Link(origin)] if origin else [],
        start_time=began,
    )
    with trace.use_span(span, end_on_exit=True):
        return current_traceparent()


@contextmanager
def handling_batch(events: Sequence[Event], service: str) -> Iterator[None]:
    """A consumer span around the handling of a batch, with a link to the trace of each event.

    It continues the trace of the first event that has one. Nothing happens without an exporter.
    """
    if not _exporting:
        yield
        return
    given = list(dict.fromkeys(event.traceparent for event in events if event.traceparent))
    links = [Link(origin) for origin in map(_context_of, given[:MAX_LINKS]) if origin]
    parent = _extract(given[0] if given else None)
    how = _consumer(events[0], service)
    with _span(**how, context=parent, links=links) as span:
        span.set_attribute("messaging.batch.message_count", len(events))
        yield


@contextmanager
def _span(**how: Any) -> Iterator[Span]:
    """A current span that ends with the block, and holds its error without a secret.

    What the library writes down of an error by itself may hold the password of an address.
    """
    with _tracer.start_as_current_span(
        **how, record_exception=False, set_status_on_exception=False
    ) as span:
        try:
            yield span
        except Exception as error:
            text = redacted(error)
            trail = redacted("".join(traceback.format_exception(error)))
            shown = {"exception.message": text, "exception.stacktrace": trail}
            span.record_exception(error, shown)
            span.set_status(StatusCode.ERROR, f"{type(error).__name__}: {text}")
            raise


def link_to(traceparent: str | None) -> None:
    """Link the current span to another trace, such as that of the decision that it follows up."""
    origin = _context_of(traceparent) if _exporting else None
    if origin is not None:
        trace.get_current_span().add_link(origin)


def _context_of(traceparent: str | None) -> SpanContext | None:
    found = trace.get_current_span(_extract(traceparent)).get_span_context()
    return found if found.is_valid else None


def _extract(traceparent: str | None) -> context.Context:
    return _propagator.extract({"traceparent": traceparent} if traceparent else {})


def _consumer(event: Event, service: str) -> dict[str, Any]:
    """The arguments of a consumer's span.

    The attributes are of the semantic conventions for messaging, and join a turn of the loop.
    """
    attributes = {
        "messaging.system": "kafka",
        "messaging.operation.type": "process",
        "messaging.destination.name": event.body.topic(),
        "messaging.consumer.group.name": service,
        "messaging.message.id": event.id,
        "messaging.message.conversation_id": event.turn,
    }
    name = f"{event.body.type} process"
    return {"name": name, "kind": SpanKind.CONSUMER, "attributes": attributes}


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
        parent = _extract(given.decode("latin-1") if given else None)
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
        with _span(
            name=method,
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
