"""Packed commands to a real Valkey, and what becomes of connections that break."""

import asyncio

import pytest
from hiredis import pack_command
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ResponseError

from predictor.adapters.features.redis_connections import RedisConnections

pytestmark = pytest.mark.integration


def packed(*words: str) -> bytes:
    return pack_command(words)  # pyright: ignore[reportArgumentType] - its stub: of one word


PING = packed("PING")


def test_questions_at_the_same_time_get_their_own_answers(redis_url: str) -> None:
    async def session() -> None:
        connections = RedisConnections(redis_url)
        numbers = [str(i) for i in range(20)]
        asked = (connections.ask(packed("ECHO", n) + packed("ECHO", f"-{n}"), 2) for n in numbers)
        answers = await asyncio.gather(*asked)
        assert answers == [[n.encode(), f"-{n}".encode()] for n in numbers]
        await connections.close()

    asyncio.run(session())


def test_a_connection_is_kept_for_the_next_question(redis_url: str) -> None:
    async def session() -> None:
        connections = RedisConnections(redis_url)
        asked = [await connections.ask(packed("CLIENT", "ID"), 1) for _ in range(3)]
        assert asked[0] == asked[1] == asked[2]
        await connections.close()

    asyncio.run(session())


def test_a_connection_that_redis_has_closed_is_opened_anew(redis_url: str) -> None:
    async def session() -> None:
        connections, other = RedisConnections(redis_url), Redis.from_url(redis_url)
        ((number,)) = await connections.ask(packed("CLIENT", "ID"), 1)
        assert await other.client_kill_filter(_id=str(number)) == 1
        assert await connections.ask(PING, 1) == [b"PONG"]
        await other.aclose()
        await connections.close()

    asyncio.run(session())


def test_the_answer_to_a_question_that_was_given_up_is_nobody_elses(redis_url: str) -> None:
    async def session() -> None:
        connections = RedisConnections(redis_url)
        assert await connections.ask(PING, 1) == [b"PONG"]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await connections.ask(packed("BLPOP", "nothing here", "0.1"), 1)
        assert await connections.ask(PING, 1) == [b"PONG"]
        await connections.close()

    asyncio.run(session())


def test_an_error_for_one_command_leaves_no_answer_behind(redis_url: str) -> None:
    async def session() -> None:
        connections = RedisConnections(redis_url)
        with pytest.raises(ResponseError, match="unknown command"):
            await connections.ask(packed("NONSENSE") + PING, 2)
        assert await connections.ask(packed("ECHO", "a"), 1) == [b"a"]
        await connections.close()

    asyncio.run(session())


def test_a_redis_that_is_away_is_an_error_at_once() -> None:
    async def session() -> None:
        connections = RedisConnections("redis://127.0.0.1:1/0")
        for _ in range(2):
            with pytest.raises(RedisConnectionError, match="Connect call failed"):
                await connections.ask(PING, 1)
        await connections.close()

    asyncio.run(session())
