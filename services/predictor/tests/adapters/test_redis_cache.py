"""The prediction cache on a real Valkey."""

import asyncio
import os

import httpx
import pytest
from redis.asyncio import Redis
from services.predictor.tests.lab import NOW, Json, Lab

from event_schemas.policy import ServingPolicy
from predictor.adapters.redis_cache import RedisCache
from predictor.serving.cache import PredictionCache, packed, score_key
from predictor.serving.prediction import Prediction
from servicekit.errors import UnavailableError

pytestmark = pytest.mark.integration


def named(entity: str) -> bytes:
    """A name of this test run alone."""
    return score_key("m", str(os.getpid()), "a", entity, [])


def test_what_was_kept_is_there_until_its_time_is_over(redis_url: str) -> None:
    async def session() -> None:
        scores = RedisCache(redis_url, 60)
        long, short, never = named("long"), named("short"), named("never")
        await scores.put([(long, b"1", 60.0), (short, b"2", 0.001)])
        async with asyncio.timeout(60):
            while (await scores.get([long, short, never])) != [b"1", None, None]:  # noqa: ASYNC110 - Valkey tells nobody
                await asyncio.sleep(0.005)
        await scores.close()

    asyncio.run(session())


def test_a_batch_is_one_command_to_read(redis_url: str) -> None:
    async def session() -> None:
        scores, client = RedisCache(redis_url, 60), Redis.from_url(redis_url)
        before = (await client.info("commandstats")).get("cmdstat_mget", {"calls": 0})["calls"]
        await scores.get([named(f"e{i}") for i in range(256)])
        after = (await client.info("commandstats"))["cmdstat_mget"]["calls"]
        assert after - before == 1
        await client.aclose()
        await scores.close()

    asyncio.run(session())


def test_a_store_that_refuses_connections_is_away() -> None:
    async def session() -> None:
        scores = RedisCache("redis://127.0.0.1:1/0")
        with pytest.raises(UnavailableError, match="reading the prediction cache"):
            await scores.get([named("e")])
        with pytest.raises(UnavailableError, match="writing the prediction cache"):
            await scores.put([(named("e"), b"1", 1.0)])
        await scores.close()

    asyncio.run(session())


def test_an_answer_that_came_too_late_is_never_taken_for_another(redis_url: str, lab: Lab) -> None:
    version = lab.version(1, serving=ServingPolicy(cache_seconds=60))
    route = lab.announce(lab.step(0, version)).follower.routes.of("flight_delay")
    loaded = route.champion.version

    def ask(entity: str) -> Prediction:
        return Prediction(
            *(route, route.champion, loaded),
            *("p", entity, NOW, 0.0, 1.0, None, None),
            row=["UA", "EWR", 0.5],
        )

    def key(entity: str) -> bytes:
        return score_key("flight_delay", "1", loaded.sha256, entity, ["UA", "EWR", 0.5])

    async def session() -> None:
        scores, client = RedisCache(redis_url, 60), Redis.from_url(redis_url)
        entries = [(name, i / 10) for i, name in enumerate("abcdef")]
        await scores.put([(key(name), packed(key(name), score), 60.0) for name, score in entries])
        hasty = PredictionCache(scores, timeout=0.02, pause=0)
        patient = PredictionCache(scores, timeout=60, pause=0)
        await client.client_pause(100)
        for name, _ in entries[:3]:
            asked = ask(name)
            await hasty.look_up([asked])
            assert asked.answer is None
        for name, score in entries:
            asked = ask(name)
            await patient.look_up([asked])
            assert (asked.answer, asked.cached) == (score, True)
        await client.aclose()
        await scores.close()

    asyncio.run(session())


def test_two_replicas_share_what_they_keep(redis_url: str, lab: Lab, body: Json) -> None:
    body["entity_id"] = f"replicas-{os.getpid()}"
    version = lab.version(1, serving=ServingPolicy(cache_seconds=60))
    client = Redis.from_url(redis_url)

    async def talk(caller: httpx.AsyncClient) -> None:
        assert (await caller.post("/predict", json=body)).status_code == 200
        loaded = lab.champion()
        name = score_key("flight_delay", "1", loaded.sha256, body["entity_id"], ["UA", "EWR", 0.5])
        async with asyncio.timeout(60):
            while not await client.exists(name):  # noqa: ASYNC110 - Valkey tells nobody
                await asyncio.sleep(0.005)
        await client.aclose()

    for _ in range(2):
        lab.scores = RedisCache(redis_url, 60)
        lab.start(cache_timeout_seconds=60).announce(lab.step(0, version))
        lab.run(talk)
    assert [each.cache_hit for each in lab.logged()] == [False, True]
    assert len({each.replica for each in lab.logged()}) == 2
