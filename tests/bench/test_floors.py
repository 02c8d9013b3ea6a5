"""The floor of `bench-serving` does what it is measured for."""

import time
from pathlib import Path

import httpx
import pytest
from bench.serving.floors import floors
from bench.serving.running import running
from redis import Redis

from event_schemas import PredictionLogged
from servicekit.bus import Message
from servicekit.cloudevents import decode
from servicekit.kafka import KafkaBus

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    ("key", "reads", "logs"),
    [("echo", 0, 0), ("echo-logged", 0, 3), ("echo-stores", 3, 3)],
)
def test_each_request_takes_the_steps_of_its_floor(
    tmp_path: Path, kafka_bootstrap: str, redis_url: str, key: str, reads: int, logs: int
) -> None:
    with Redis.from_url(redis_url) as redis:
        redis.hset("a row of the floor", "a field", "a value")
        stores = {"KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap, "REDIS_URL": redis_url}
        (floor,) = (each for each in floors(stores) if each.key == key)
        view = KafkaBus(kafka_bootstrap).view(PredictionLogged.topic())
        until = time.monotonic() + 60
        while not view.caught_up:
            view.poll(0.2)
            assert time.monotonic() < until, "the log's end was not reached"
        with running(floor, tmp_path) as (url, _):
            before = _reads(redis)
            for n in range(3):
                body = b"{%d}" % n
                assert httpx.post(url, content=body).content == body
            assert _reads(redis) - before == reads
            found: list[Message] = []
            wanted = logs + 1 if logs else 0  # with that of the request that began it
            until = time.monotonic() + 60
            while len(found) < wanted and time.monotonic() < until:
                found += view.poll(0.2)
        assert len(found) == wanted
        assert all(isinstance(decode(each).body, PredictionLogged) for each in found)
        view.close()


def _reads(redis: Redis) -> int:
    stats = redis.info("commandstats")
    return stats.get("cmdstat_hmget", {"calls": 0})["calls"]
