"""The clients of the overload benchmark, against servers that answer as they are told."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import pytest
from bench.overload.clients import BUCKET_SECONDS, Bucket, Clients
from bench.overload.measures import recovery

REQUEST = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n{}"
Write = Callable[[bytes], Awaitable[None]]


def answer(status: int, body: bytes = b"{}") -> bytes:
    return b"HTTP/1.1 %d X\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body)


async def against(
    serve: Callable[[int, Write], Coroutine[Any, Any, None]],
    story: Callable[[Clients], Coroutine[Any, Any, None]],
) -> Bucket:
    """Tell a story of clients to a server that is asked once a request; the sum of all buckets."""
    count = 0
    tasks = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal count
        tasks.add(asyncio.current_task())

        async def write(data: bytes) -> None:
            writer.write(data)
            await writer.drain()

        try:
            while await reader.readexactly(len(REQUEST)):
                count += 1
                await serve(count, write)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()
            await writer.wait_closed()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    clients = Clients("127.0.0.1", port, [REQUEST])
    async with asyncio.timeout(60):
        await story(clients)
    clients.stopping = True
    found = Bucket()
    for bucket in clients.buckets.values():
        found.sent += bucket.sent
        found.unsent += bucket.unsent
        found.statuses += bucket.statuses
    for connection in list(clients.idle):
        assert connection.transport is not None
        connection.transport.close()
    server.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return found


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110 - what is waited for says nothing by itself
        await asyncio.sleep(0.005)


def test_each_answer_is_counted_by_its_status_however_it_is_cut_into_pieces() -> None:
    async def serve(count: int, write: Write) -> None:
        data = answer((200, 429, 503)[count % 3])
        for piece in (data[:5], data[5:-1], data[-1:]):
            await write(piece)
            await asyncio.sleep(0)

    async def story(clients: Clients) -> None:
        await clients.connect(4)
        await clients.load(None, 0.2)
        await until(lambda: len(clients.idle) == 4)

    found = asyncio.run(against(serve, story))
    assert sum(found.statuses.values()) == found.sent > 10
    assert set(found.statuses) == {200, 429, 503}


def test_what_is_due_while_all_connections_wait_is_never_sent_and_counted() -> None:
    async def serve(count: int, write: Write) -> None:
        await asyncio.sleep(60)

    async def story(clients: Clients) -> None:
        await clients.connect(3)
        await clients.load(1000.0, 0.2)

    found = asyncio.run(against(serve, story))
    assert found.sent == 3
    assert found.sent + found.unsent == pytest.approx(200, rel=0.2)


def test_a_connection_that_ends_without_an_answer_is_counted_and_replaced() -> None:
    async def serve(count: int, write: Write) -> None:
        if count == 1:
            raise asyncio.IncompleteReadError(b"", 1)
        await write(answer(200))

    async def story(clients: Clients) -> None:
        await clients.connect(1)
        await clients.load(None, 0.05)
        await until(lambda: len(clients.idle) == 1)
        await clients.load(None, 0.05)
        await until(lambda: len(clients.idle) == 1)

    found = asyncio.run(against(serve, story))
    assert found.statuses[0] == 1
    assert found.statuses[200] >= 1


def test_a_connection_that_the_server_closes_as_idle_is_let_go_and_nothing_is_counted() -> None:
    async def serve(count: int, write: Write) -> None:
        await write(answer(200))
        raise asyncio.IncompleteReadError(b"", 1)

    async def story(clients: Clients) -> None:
        await clients.connect(2)

        def sent() -> int:
            return sum(bucket.sent for bucket in clients.buckets.values())

        while not sent():  # a busy machine may send nothing in this time, or to one of the two
            await clients.load(1000.0, 0.005)
        await until(lambda: len(clients.idle) == 2 - sent())
        await until(lambda: sum(b.statuses.total() for b in clients.buckets.values()) == sent())

    found = asyncio.run(against(serve, story))
    assert found.statuses == {200: found.sent}
    assert 1 <= found.sent <= 2


@pytest.mark.parametrize(
    ("ill", "wanted"),
    [
        ({}, 0.0),
        ({1: {503: 1}}, 0.25),
        ({1: {200: 5, 503: 1}, 4: {429: 1}}, 1.0),
        ({8: {0: 1}}, None),
    ],
)
def test_recovery_ends_with_the_last_bucket_that_was_ill(
    ill: dict[int, dict[int, int]], wanted: float | None
) -> None:
    clients = Clients("", 0, [])
    for i in range(9):
        bucket = clients.bucket(i * BUCKET_SECONDS + 0.001)
        bucket.statuses.update(ill.get(i, {200: 1}))
        bucket.latencies.append(1.0)
    # The overload ends with the first bucket.
    assert recovery(clients, BUCKET_SECONDS, 9 * BUCKET_SECONDS, 1.0) == wanted


def test_slow_answers_are_norecovery() -> None:
    clients = Clients("", 0, [])
    for i, ms in enumerate((1.0, 1.0, 80.0, 1.0, 1.0)):
        clients.bucket(i * BUCKET_SECONDS + 0.001).latencies.append(ms)
    assert recovery(clients, BUCKET_SECONDS, 5 * BUCKET_SECONDS, 1.0) == 0.5
