"""`X-Request-Timeout`: what nobody waits for any more is not computed."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

import httpx
import pytest
from services.predictor.tests.lab import Json, Lab

from predictor.domain.features import Value

NAME = "X-Request-Timeout"
PATHS = ["/predict", "/v1/models/flight_delay/predict", "/v2/models/flight_delay/infer"]
TENSORS = [
    {"name": "carrier", "datatype": "BYTES", "shape": [1], "data": ["UA"]},
    {"name": "origin", "datatype": "BYTES", "shape": [1], "data": ["EWR"]},
    {"name": "hour", "datatype": "FP64", "shape": [1], "data": [0.5]},
]


def request(path: str, body: Json) -> Json:
    if path.startswith("/v2"):
        return {"inputs": TENSORS, "id": "UA1"}
    return body if path == "/predict" else {k: v for k, v in body.items() if k != "model"}


def asked(lab: Lab, path: str, body: Json, **options: Any) -> httpx.Response:
    return lab.run(lambda client: client.post(path, json=request(path, body), **options))


@pytest.mark.parametrize("path", PATHS)
def test_a_request_is_answered_at_its_deadline_and_never_computed(
    with_store: Lab, body: Json, path: str
) -> None:
    with_store.start(feature_timeout_seconds=60).announce()
    with_store.features.delay = 0.2

    async def talk(client: httpx.AsyncClient) -> httpx.Response:
        sent = client.post(path, json=request(path, body), headers={NAME: "0.02"})
        answer = await sent
        await asyncio.sleep(0.3)  # the store has answered by now
        return answer

    answer = with_store.run(talk)
    assert answer.status_code == 503, answer.text
    assert answer.headers["retry-after"] == "1"
    assert "0.02 s, which is the deadline" in answer.text
    assert len(with_store.features.reads) == 1
    assert with_store.logged() == []
    with_store.features.delay = 0.0
    assert asked(with_store, path, body, headers={NAME: "60"}).status_code == 200
    assert [logged.sequence for logged in with_store.logged()] == [0]


def test_what_waited_too_long_for_its_batch_is_dropped_before_any_work(
    with_store: Lab, body: Json
) -> None:
    with_store.start(feature_timeout_seconds=60, request_timeout_seconds=0.05).announce()
    with_store.features.delay = 0.2  # the first batch keeps the others waiting

    async def talk(client: httpx.AsyncClient) -> list[httpx.Response]:
        first = asyncio.create_task(client.post("/predict", json=body, headers={NAME: "60"}))
        await asyncio.sleep(0.01)
        return [await client.post("/predict", json=body), await first]

    late, first = with_store.run(talk)
    assert (late.status_code, late.json()["error"]["code"]) == (503, "deadline")
    assert first.status_code == 200
    assert len(with_store.features.reads) == 1
    assert len(with_store.logged()) == 1


def test_one_of_many_is_told_of_the_deadline_like_the_others(with_store: Lab, body: Json) -> None:
    with_store.start(feature_timeout_seconds=60).announce()
    with_store.features.delay = 0.2
    instance = {k: v for k, v in body.items() if k != "model"}
    answer = with_store.run(
        lambda client: client.post(
            PATHS[1], json={"instances": [instance] * 3}, headers={NAME: "0.02"}
        )
    )
    codes = [each["error"]["code"] for each in answer.json()["predictions"]]
    assert (answer.status_code, codes) == (200, ["deadline"] * 3)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("value", ["0", "-1", "soon", "nan"])
def test_what_is_no_timeout_is_refused(serving: Lab, body: Json, path: str, value: str) -> None:
    answer = asked(serving, path, body, headers={NAME: value})
    assert answer.status_code == (400 if path.startswith("/v2") else 422)
    assert "send seconds above 0" in answer.text
    assert serving.logged() == []


@pytest.mark.parametrize("path", PATHS)
def test_more_than_the_service_allows_is_taken_as_that(lab: Lab, body: Json, path: str) -> None:
    lab.start(request_timeout_seconds=1e-9, max_request_timeout_seconds=60)
    lab.announce(lab.step(0, lab.version(1)))
    assert asked(lab, path, body).status_code == 503
    assert asked(lab, path, body, headers={NAME: "1e6"}).status_code == 200
    lab.start(request_timeout_seconds=60, max_request_timeout_seconds=1e-9).announce()
    assert asked(lab, path, body).status_code == 200
    assert asked(lab, path, body, headers={NAME: "1e6"}).status_code == 503


@pytest.mark.parametrize(
    ("timeout", "status"), [(0, 200), (60_000_000, 200), (1, 503), (-1, 400), ("1", 400)]
)
def test_tritons_parameter_is_heard_in_microseconds(
    serving: Lab, timeout: object, status: int
) -> None:
    sent = {"inputs": TENSORS, "parameters": {"timeout": timeout}}
    answer = serving.run(lambda client: client.post(PATHS[2], json=sent))
    assert answer.status_code == status, answer.text


def test_a_process_of_its_own_gets_nothing_that_is_too_late(with_store: Lab, body: Json) -> None:
    asked: list[Sequence[Sequence[Value]]] = []

    class Child:
        def submit(self, rows: Sequence[Sequence[Value]]) -> "Future[list[float]]":
            asked.append(rows)
            answered: Future[list[float]] = Future()
            answered.set_result([0.5 for _ in rows])
            return answered

    with_store.start(feature_timeout_seconds=60).announce()
    version = with_store.champion()
    object.__setattr__(version, "child", Child())
    with_store.features.delay = 0.1

    async def talk(client: httpx.AsyncClient) -> list[int]:
        answers = await asyncio.gather(
            *(client.post("/predict", json=body, headers={NAME: t}) for t in ("0.02", "60"))
        )
        return [answer.status_code for answer in answers]

    assert with_store.run(talk) == [503, 200]
    assert [len(rows) for rows in asked] == [1]
    assert len(with_store.logged()) == 1
