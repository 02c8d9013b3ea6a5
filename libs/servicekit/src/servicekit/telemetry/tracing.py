"""Trace context through events: a span for each event handled, a child of the span that sent it."""

from collections.abc import Iterator
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.trace import SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from servicekit.event import Event

_tracer = trace.get_tracer("servicekit")
_propagator = TraceContextTextMapPropagator()


def current_traceparent() -> str | None:
    """The W3C `traceparent` of the current span, or None outside of any."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return carrier.get("traceparent")


@contextmanager
def handling(event: Event, service: str) -> Iterator[str | None]:
    """A consumer span around the handling of an event; yields the `traceparent` for its outputs."""
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
