"""uvicorn and an ASGI function that sends the body back: the least that a server has to do.

    python bench/serving/floor_app.py PORT [read] [log]

`read` has each request wait for a row of Valkey, `log` gives Kafka a `prediction.logged` of each:
with the libraries, the settings and the records of the predictor, and nothing else around them.
"""

import asyncio
import os
import random
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from itertools import cycle
from typing import Any

import uvicorn
import uvloop
from hiredis import pack_command
from redis.asyncio import Redis

from predictor.adapters.features.redis_connections import RedisConnections
from predictor.serving.prediction import new_id
from predictor.serving.record import Entry, Latency, Logged, batch_of, entry, shared
from predictor.serving.routes.loaded import naming
from servicekit.kafka import KafkaBus

RECORDS = 1000
"""Different ones, which are sent in turn."""
PUMP_SECONDS = 0.005
"""Between two batches of records: as often as the predictor sends some."""


async def main(port: int, steps: list[str]) -> None:
    read = await reader() if "read" in steps else None
    waiting: list[Entry] | None = [] if "log" in steps else None
    if waiting is not None:
        asyncio.get_running_loop().create_task(pump(waiting))
    records = cycle(entries())

    async def echo(scope: Any, receive: Any, send: Any) -> None:
        body = (await receive())["body"] or b"{}"
        if read is not None:
            await read()
        length = str(len(body)).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", length)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        if waiting is not None:
            waiting.append(next(records))

    config = uvicorn.Config(
        echo, port=port, http="httptools", lifespan="off", log_config=None, access_log=False
    )
    await uvicorn.Server(config).serve()


async def reader() -> Callable[[], Awaitable[object]]:
    """Reads a row, the next of all that there are."""
    url = os.environ["REDIS_URL"]
    connections = RedisConnections(url)
    async with Redis.from_url(url) as redis:
        keys = [key async for key in redis.scan_iter(count=10_000, _type="hash")]
        fields = list(await redis.hgetall(keys[0]))
    commands = cycle([pack_command((b"HMGET", key, *fields)) for key in keys])
    return lambda: connections.ask(next(commands), 1)


async def pump(waiting: list[Entry]) -> None:
    """Send what came meanwhile, again and again."""
    sender = KafkaBus(os.environ["KAFKA_BOOTSTRAP_SERVERS"]).sender(polled=True, patient=True)
    while True:
        await asyncio.sleep(PUMP_SECONDS)
        sender.poll()
        sender.send_batch(batch_of(waiting, datetime.now(UTC)), lambda error: None)
        waiting.clear()


def entries() -> list[Entry]:
    """Records as those of the bench's model."""
    named = naming(tuple(f"n{number}" for number in range(12)))
    of_arm = shared("full", "0", "champion", 0.1, "bench", "bench")
    draw = random.Random(7).random
    replica = new_id()
    return [
        entry(
            of_arm,
            Logged(
                prediction_id=new_id(),
                entity=f"e{number}",
                features=named([draw() for _ in range(12)]),
                score=draw(),
                event_time=datetime.now(UTC),
                latency=Latency(draw(), draw(), draw()),
                error=None,
                replica=replica,
                sequence=number,
            ),
            None,
        )
        for number in range(RECORDS)
    ]


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2:]))
