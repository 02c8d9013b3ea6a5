"""What every service answers over HTTP: /livez, /readyz and /metrics."""

import threading
from collections.abc import Sequence

from fastapi import FastAPI
from prometheus_client import REGISTRY
from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

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
    # What is added last sees a request first.
    api.add_middleware(MeasureRequests)
    api.add_middleware(TraceRequests)
