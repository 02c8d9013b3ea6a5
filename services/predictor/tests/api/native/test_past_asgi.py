"""Answers past ASGI are the answers through it: over real connections, request by request."""

import asyncio
import json
from typing import TypeAlias

import httpx
import pytest
import uvicorn
from services.predictor.tests.lab import Json, Lab

from event_schemas import PredictionLogged
from predictor.api.direct import protocol_of
from predictor.app import direct, shortcut
from servicekit.connections import BoundedProtocol, Limits, bounded

GOOD = {"entity_id": "UA1", "features": {"carrier": "UA", "origin": "EWR", "hour": 0.5}}
MODEL = "/v1/models/flight_delay/predict"

Told: TypeAlias = tuple[int, dict[str, str], Json]
"""Status, headers and body of an answer."""

CASES: dict[str, tuple[str, Json | bytes, dict[str, str]]] = {
    "one": ("/predict", {"model": "flight_delay", **GOOD, "prediction_id": "p1"}, {}),
    "one of a model": (MODEL, {**GOOD, "prediction_id": "p2"}, {}),
    "many": (MODEL, {"instances": [{**GOOD, "prediction_id": f"m{i}"} for i in range(3)]}, {}),
    "many with a bad feature": (MODEL, {"instances": [GOOD | {"features": {}}]}, {}),
    "many in breach": (MODEL, {"instances": [GOOD, {**GOOD, "entity_id": ""}]}, {}),
    "none": (MODEL, {"instances": []}, {}),
    "unknown model": ("/predict", {"model": "nobody", **GOOD}, {}),
    "unknown model in the path": ("/v1/models/nobody/predict", GOOD, {}),
    "a name that is encoded": ("/v1/models/no%20body/predict", GOOD, {}),
    "missing feature": (
        "/predict",
        {"model": "flight_delay", "entity_id": "e", "features": {}},
        {},
    ),
    "unknown field": ("/predict", {"model": "flight_delay", **GOOD, "other": 1}, {}),
    "no JSON": ("/predict", b"{", {}),
    "no body": ("/predict", b"", {}),
    "an arm for testers": (MODEL, GOOD, {"X-Tailrace-Arm": "champion"}),
    "a deadline": (MODEL, {**GOOD, "prediction_id": "p3"}, {"X-Request-Timeout": "60"}),
    "a deadline that is over": (MODEL, GOOD, {"X-Request-Timeout": "1e-9"}),
    "no deadline": (MODEL, GOOD, {"X-Request-Timeout": "soon"}),
    "too large": ("/predict", b" " * 3000, {}),
}


def told(answer: httpx.Response) -> Told:
    headers = {k: v for k, v in answer.headers.items() if k not in ("date", "content-length")}
    body = answer.json()
    for each in body.get("predictions", [body]):
        each.pop("latency_ms", None)
    return answer.status_code, headers, body


def both(lab: Lab, path: str, body: Json | bytes, headers: dict[str, str]) -> list[Told]:
    """What a caller is told through ASGI, and past it."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    found: list[Told] = []

    async def session() -> None:
        for http in (BoundedProtocol, protocol_of(direct(lab.app))):
            server = uvicorn.Server(
                uvicorn.Config(
                    shortcut(lab.app),
                    port=0,
                    http=bounded(Limits(100, 100_000, 10_000_000, 60.0), http),
                    lifespan="off",
                    log_config=None,
                    access_log=False,
                )
            )
            task = asyncio.create_task(server.serve())
            async with asyncio.timeout(60):
                while not server.started:  # noqa: ASYNC110 - uvicorn tells nobody
                    await asyncio.sleep(0.001)
                port = server.servers[0].sockets[0].getsockname()[1]
                async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
                    found.append(told(await client.post(path, content=content, headers=headers)))
                server.should_exit = True
                await task

    asyncio.run(session())
    return found


@pytest.mark.parametrize("case", CASES)
def test_both_ways_tell_the_same(lab: Lab, case: str) -> None:
    lab.start(max_body_bytes=2000, max_instances=5)
    lab.announce(lab.step(0, lab.version(1)))
    through, past = both(lab, *CASES[case])
    assert past == through


def test_both_ways_refuse_while_nothing_is_loaded(lab: Lab) -> None:
    through, past = both(lab, *CASES["one"])
    assert past == through
    assert past[0] == 503
    assert past[1]["retry-after"] == "1"


def test_a_traced_request_is_logged_with_its_trace(serving: Lab) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    both(serving, *CASES["one"])

    async def talk(client: httpx.AsyncClient) -> None:
        _, body, _ = CASES["one of a model"]
        await client.post(MODEL, json=body, headers={"traceparent": trace})

    serving.run(talk)
    events = {e.body.prediction_id: e.traceparent for e in serving.bus.events(PredictionLogged)}
    assert events == {"p1": None, "p2": trace}
