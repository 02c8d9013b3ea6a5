"""What every service answers over HTTP: /livez, /readyz and /metrics."""

import threading
from collections.abc import Sequence

from fastapi import FastAPI
from prometheus_client import REGISTRY
from prometheus_client.exposition import choose_encoder
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from servicekit.api_page import CONTENT_POLICY, page
from servicekit.component import Component
from servicekit.telemetry.requests import MeasureRequests
from servicekit.telemetry.tracing import TraceRequests
from servicekit.worker import Worker


def add_ops_routes(
    api: FastAPI,
    components: Sequence[Component],
    stop: threading.Event,
    worker: Worker | None = None,
) -> None:
    """Give `api` /livez, /readyz and /metrics, measure its requests, and continue their traces.

    Args:
        api: the application; its own routes, even a mount at `/`, do not hide these.
        components: all of them have to be ready for /readyz to answer 200.
        stop: once it is set, /readyz answers 503 so that no new requests are sent here.
        worker: of several; whichever is asked answers for all that take connections.
    """
    registry = worker.registry() if worker else REGISTRY

    async def livez(request: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(request: Request) -> Response:
        waiting = [component.name for component in components if not component.ready]
        if worker is not None:
            waiting += worker.unready
        ready = not waiting and not stop.is_set()
        return JSONResponse(
            {"ready": ready, "stopping": stop.is_set(), "not_ready": waiting},
            status_code=200 if ready else 503,
        )

    async def metrics(request: Request) -> Response:
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"content-type": content_type})

    api.router.routes[:0] = [
        Route(f"/{endpoint.__name__}", endpoint, include_in_schema=False)
        for endpoint in (livez, readyz, metrics)
    ]
    if api.openapi_url:
        _replace_docs(api)
    api.add_exception_handler(ClientDisconnect, _caller_gone)
    api.add_middleware(HeadAsGet)
    # What is added last sees a request first.
    api.add_middleware(MeasureRequests)
    api.add_middleware(TraceRequests)


def _replace_docs(api: FastAPI) -> None:
    """FastAPI's own pages load their scripts from elsewhere."""
    theirs = {api.docs_url, api.redoc_url, api.swagger_ui_oauth2_redirect_url}
    api.router.routes[:] = [r for r in api.router.routes if getattr(r, "path", "") not in theirs]

    async def docs(request: Request) -> Response:
        headers = {"content-security-policy": CONTENT_POLICY}
        return HTMLResponse(page(api.openapi()), headers=headers)

    api.router.routes.insert(0, Route("/docs", docs, include_in_schema=False))


class HeadAsGet:
    """Answers HEAD wherever GET is answered (RFC 9110, 9.3.2); the server leaves the body out."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] == "http" and scope["method"] == "HEAD":
            scope = {**scope, "method": "GET"}
        await self._app(scope, receive, send)


async def _caller_gone(request: Request, error: Exception) -> Response:
    """Nobody reads it; without it each such request is an error in the log, with a traceback."""
    return Response(status_code=499)
