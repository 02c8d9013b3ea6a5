"""More than can be taken: who is turned away, how, and who is not."""

import asyncio

import httpx
import pytest
from services.predictor.tests.lab import Features, Json, Lab

from servicekit.testing.metrics import metric_value

PATHS = ["/v1/models/{}/predict", "/v2/models/{}/infer"]


def sent(path: str, body: Json) -> Json:
    if path.startswith("/v2"):
        tensors = [
            {"name": name, "datatype": "BYTES", "shape": [1], "data": [value]}
            for name, value in (("carrier", "UA"), ("origin", "EWR"))
        ]
        return {"inputs": tensors}
    return {k: v for k, v in body.items() if k != "model"}


@pytest.fixture
def two(lab: Lab, requested: Features, stored: Features) -> Lab:
    """Two models that read a slow store; ten predictions may be under way."""
    lab.start(max_in_flight=10, max_instances=10, max_model_share=0.8)
    features = requested + stored
    lab.announce(
        lab.step(0, lab.version(1, features, model="flood")),
        lab.step(0, lab.version(1, features, model="calm")),
    )
    lab.features.delay = 0.05
    return lab


@pytest.mark.parametrize("path", PATHS)
def test_a_flood_on_one_model_is_429_and_the_other_answers(two: Lab, body: Json, path: str) -> None:
    async def talk(client: httpx.AsyncClient) -> list[httpx.Response]:
        models = [*["flood"] * 30, "calm"]
        return await asyncio.gather(
            *(client.post(path.format(model), json=sent(path, body)) for model in models)
        )

    *flood, calm = two.run(talk)
    assert calm.status_code == 200
    refused = [answer for answer in flood if answer.status_code == 429]
    assert len(refused) == 22, "eight of ten are its share"
    assert {answer.status_code for answer in flood} == {200, 429}
    assert {answer.headers["retry-after"] for answer in refused} == {"1"}
    assert "8 predictions of 'flood' are under way" in refused[0].text
    again = two.run(lambda client: client.post(path.format("flood"), json=sent(path, body)))
    assert again.status_code == 200


def test_health_answers_while_the_predictor_is_full(two: Lab, body: Json) -> None:
    two.features.delay = 0.5

    async def talk(client: httpx.AsyncClient) -> tuple[list[int], list[int]]:
        asked = [
            asyncio.create_task(client.post(PATHS[0].format(m), json=sent(PATHS[0], body)))
            for m in ("flood", "calm") * 20
        ]
        await asyncio.sleep(0.02)
        waiting = sum(not each.done() for each in asked)
        pages = [
            (await client.get(page)).status_code
            for page in ("/health", "/v1/models", "/v2/health/live", "/v2/health/ready")
        ]
        assert waiting == sum(not each.done() for each in asked), "nobody was answered meanwhile"
        return pages, [(await each).status_code for each in asked]

    pages, statuses = two.run(talk)
    assert pages == [200] * 4
    assert set(statuses) <= {200, 429, 503}
    assert statuses.count(200) >= 8


def test_each_refusal_is_counted_with_its_model(two: Lab, body: Json) -> None:
    def refused() -> float:
        return metric_value("prediction_errors_total", model="flood", code="over_share")

    before = refused()

    async def talk(client: httpx.AsyncClient) -> None:
        path = PATHS[0].format("flood")
        await asyncio.gather(*(client.post(path, json=sent(path, body)) for _ in range(12)))

    two.run(talk)
    assert refused() - before == 4


def test_refusals_beyond_their_rate_wait_while_the_others_are_answered(
    lab: Lab, body: Json
) -> None:
    lab.start(max_in_flight=1, max_instances=1, max_refusals_per_second=5)
    lab.announce(lab.step(0, lab.version(1)))
    order: list[int] = []

    async def talk(client: httpx.AsyncClient) -> None:
        async def ask() -> None:
            order.append((await client.post("/predict", json=body)).status_code)

        await asyncio.gather(*(ask() for _ in range(3)))
        await ask()

    lab.run(talk)
    assert sorted(order) == [200, 200, 503, 503]
    assert order.index(200) < 2, "the second refusal had to wait"
    assert order[2:] == [503, 200]
