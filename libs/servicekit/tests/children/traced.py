"""A request and an event under an exporter, which can be set up only once in a process."""

import asyncio
import json
import sys
from datetime import UTC, datetime
from typing import Any

from event_schemas import LabelArrived
from servicekit.event import Event
from servicekit.telemetry.tracing import (
    TraceRequests,
    configure_tracing,
    current_traceparent,
    flush_tracing,
    handling,
)


async def main(endpoint: str, traceparent: str) -> None:
    configure_tracing("traced", endpoint)
    now = datetime(2013, 1, 1, tzinfo=UTC)
    said: dict[str, Any] = {}

    async def app(scope: object, receive: object, send: Any) -> None:
        body = LabelArrived(prediction_id="p", model="m", label=1.0, observed_at=now)
        event = Event(body=body, source="/s", time=now, traceparent=current_traceparent())
        with handling(event, "traced") as output:
            said["output"] = output

    scope = {
        "type": "http",
        "method": "GET",
        "path": "/x",
        "headers": [(b"traceparent", traceparent.encode())],
    }
    await TraceRequests(app)(scope, None, None)  # pyright: ignore[reportArgumentType]
    flush_tracing(10.0)
    sys.stdout.write(json.dumps(said))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
