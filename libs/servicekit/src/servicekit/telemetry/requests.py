"""Counts and times what a service answers over HTTP."""

import time

from opentelemetry import trace
from opentelemetry.trace import format_trace_id
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from servicekit.telemetry.metrics import HTTP_REQUESTS, HTTP_SECONDS

OPERATIONS = frozenset({"/livez", "/readyz", "/metrics"})
"""Asked by machines every few seconds; they would hide what people ask."""
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class MeasureRequests:
    """ASGI middleware; callers cannot make new label values.

    Inside of `TraceRequests`, so that each time has the trace behind it as its exemplar.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"] in OPERATIONS:
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500  # of whoever raises before an answer has begun

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, note_status)
        finally:
            # The router knows the path's template only once it has matched.
            route = getattr(scope.get("route"), "path", "")
            method = scope["method"] if scope["method"] in METHODS else "other"
            HTTP_REQUESTS.labels(route, method, str(status)).inc()
            HTTP_SECONDS.labels(route, method).observe(
                time.perf_counter() - started, exemplar=current_exemplar()
            )


def current_exemplar() -> dict[str, str] | None:
    """The label of an exemplar: the current trace, if it is exported."""
    span = trace.get_current_span()
    if not span.is_recording():
        return None
    return {"trace_id": format_trace_id(span.get_span_context().trace_id)}
