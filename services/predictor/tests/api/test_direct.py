"""Requests past ASGI, over real connections: what is told apart, and what is left to uvicorn."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
import uvicorn
from services.predictor.tests.lab import until
from starlette.types import Receive, Scope, Send

from predictor.api.direct import Direct, DirectRequest, protocol_of
from servicekit.connections import Limits, bounded

JSON = ((b"content-type", b"application/json"),)
LIMITS = Limits(100, 10_000, 10_000_000, 60.0)
POST = b"POST /hot HTTP/1.1\r\nhost: t\r\n"


class Site:
    """A server with one direct path, `/hot`; all else says over ASGI what it was asked."""

    def __init__(self, **config: Any) -> None:
        self.waiting: list[DirectRequest] = []
        self.hold = False
        direct = Direct(lambda target: self.take if target == b"/hot" else None, 1000)
        self.server = uvicorn.Server(
            uvicorn.Config(
                self.asgi,
                port=0,
                http=bounded(LIMITS, protocol_of(direct)),
                interface="asgi3",
                lifespan="off",
                log_config=None,
                access_log=False,
                **config,
            )
        )
        self.port = 0

    def take(self, request: DirectRequest) -> None:
        if request.body == b"raise":
            raise ValueError("a handler is broken")
        if self.hold:
            self.waiting.append(request)
        else:
            self.answer(request)

    def answer(self, request: DirectRequest) -> None:
        told = {"way": "direct", "body": request.body.decode(), "headers": len(request.headers)}
        request.answer(200, JSON, json.dumps(told).encode())

    async def asgi(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        headers = [[name.decode(), value.decode()] for name, value in scope["headers"]]
        told = {"way": "asgi", "path": scope["path"], "body": body.decode(), "headers": headers}
        await send({"type": "http.response.start", "status": 200, "headers": list(JSON)})
        await send({"type": "http.response.body", "body": json.dumps(told).encode()})

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator["Site"]:
        task = asyncio.create_task(self.server.serve())
        await until(lambda: self.server.started)
        self.port = self.server.servers[0].sockets[0].getsockname()[1]
        yield self
        self.server.should_exit = True
        await task


class Caller:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, data: bytes) -> "Caller":
        self.writer.write(data)
        return self

    async def heard(self) -> tuple[int, dict[str, str], Any]:
        """The next answer: status, headers, body."""
        async with asyncio.timeout(60):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = dict(line.lower().split(": ", 1) for line in head[1:-2])
            if headers.get("transfer-encoding") == "chunked":
                body = b""
                while size := int(await self.reader.readline(), 16):
                    body += await self.reader.readexactly(size)
                    await self.reader.readline()
                await self.reader.readline()
            else:
                body = await self.reader.readexactly(int(headers["content-length"]))
        text = body.decode()
        return int(head[0].split()[1]), headers, json.loads(text) if text[0] == "{" else text

    async def closed(self) -> bool:
        async with asyncio.timeout(60):
            return await self.reader.read() == b""


Talk = Callable[[Site, Caller], Coroutine[None, None, None]]


def over_a_connection(talk: Talk, **config: Any) -> None:
    async def session() -> None:
        async with Site(**config).serving() as site:
            reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
            try:
                await talk(site, Caller(reader, writer))
            finally:
                writer.close()
                await writer.wait_closed()

    asyncio.run(session())


def post(body: bytes, *headers: bytes) -> bytes:
    more = b"".join(header + b"\r\n" for header in headers)
    return POST + more + b"content-length: %d\r\n\r\n%b" % (len(body), body)


def test_a_plain_request_goes_past_asgi() -> None:
    async def talk(site: Site, caller: Caller) -> None:
        status, headers, told = await caller.send(post(b"one")).heard()
        assert (status, told) == (200, {"way": "direct", "body": "one", "headers": 2})
        assert headers["content-type"] == "application/json"
        assert "date" in headers
        assert "connection" not in headers
        _, _, told = await caller.send(post(b"two")).heard()
        assert told["body"] == "two"
        assert site.server.server_state.total_requests == 2

    over_a_connection(talk)


def test_a_request_may_come_in_pieces_of_one_byte() -> None:
    async def talk(site: Site, caller: Caller) -> None:
        for at in range(len(data := post(b"in pieces"))):
            caller.send(data[at : at + 1])
            await caller.writer.drain()
            await asyncio.sleep(0)
        assert (await caller.heard())[2] == {"way": "direct", "body": "in pieces", "headers": 2}

    over_a_connection(talk)


@pytest.mark.parametrize(
    ("request_bytes", "body"),
    [
        (b"GET /hot HTTP/1.1\r\nhost: t\r\n\r\n", ""),
        (b"POST /hot?a=1 HTTP/1.1\r\nhost: t\r\ncontent-length: 1\r\n\r\nx", "x"),
        (b"POST /other HTTP/1.1\r\nhost: t\r\ncontent-length: 1\r\n\r\nx", "x"),
        (POST + b"transfer-encoding: chunked\r\n\r\n1\r\nx\r\n2\r\nyz\r\n0\r\n\r\n", "xyz"),
        (post(b"x", b"TraceParent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"), "x"),
        (post(b"y" * 1001), "y" * 1001),
    ],
    ids=["method", "query", "path", "chunked", "traced", "large"],
)
def test_what_is_not_plain_is_left_to_asgi_whole(request_bytes: bytes, body: str) -> None:
    async def talk(site: Site, caller: Caller) -> None:
        for _ in range(2):
            status, _, told = await caller.send(request_bytes).heard()
            assert (status, told["way"], told["body"]) == (200, "asgi", body)
            assert ["host", "t"] in told["headers"]
            # The connection is as good for a direct request as before.
            assert (await caller.send(post(b"next")).heard())[2]["way"] == "direct"

    over_a_connection(talk)


def test_the_largest_body_is_the_limit_itself() -> None:
    async def talk(site: Site, caller: Caller) -> None:
        assert (await caller.send(post(b"y" * 1000)).heard())[2]["way"] == "direct"

    over_a_connection(talk)


def test_a_caller_that_waits_for_a_100_gets_it() -> None:
    async def talk(site: Site, caller: Caller) -> None:
        caller.send(POST + b"expect: 100-continue\r\ncontent-length: 1\r\n\r\n")
        assert await caller.reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        assert (await caller.send(b"x").heard())[2]["way"] == "asgi"

    over_a_connection(talk)


def test_a_connection_that_is_not_to_stay_is_closed_behind_the_answer() -> None:
    async def talk(site: Site, caller: Caller) -> None:
        _, headers, told = await caller.send(post(b"x", b"connection: close")).heard()
        assert (headers["connection"], told["way"]) == ("close", "asgi")
        assert await caller.closed()

    over_a_connection(talk)


def test_pipelined_requests_are_answered_in_their_order() -> None:
    async def talk(site: Site, caller: Caller) -> None:
        site.hold = True
        caller.send(post(b"1") + post(b"2") + b"GET /other HTTP/1.1\r\nhost: t\r\n\r\n")
        await until(lambda: site.waiting)
        await asyncio.sleep(0.05)  # time for the second to overtake, if it could
        assert len(site.waiting) == 1
        site.answer(site.waiting[0])
        found = [(await caller.heard())[2] for _ in range(3)]
        assert [(each["way"], each["body"]) for each in found] == [
            ("direct", "1"),
            ("asgi", "2"),
            ("asgi", ""),
        ]

    over_a_connection(talk)


def test_a_direct_request_behind_one_of_asgi_waits_for_it() -> None:
    async def talk(site: Site, caller: Caller) -> None:
        caller.send(b"GET /first HTTP/1.1\r\nhost: t\r\n\r\n" + post(b"second"))
        found = [(await caller.heard())[2] for _ in range(2)]
        assert [each["path"] for each in found] == ["/first", "/hot"]
        assert found[1]["body"] == "second"

    over_a_connection(talk)


def test_a_handler_that_raises_is_answered_500_and_the_connection_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def talk(site: Site, caller: Caller) -> None:
        assert (await caller.send(post(b"raise")).heard())[0] == 500
        assert (await caller.send(post(b"x")).heard())[0] == 200

    over_a_connection(talk)
    assert "a handler is broken" in caplog.text


def test_a_second_answer_is_an_error() -> None:
    async def talk(site: Site, caller: Caller) -> None:
        site.hold = True
        caller.send(post(b"x"))
        await until(lambda: site.waiting)
        site.answer(site.waiting[0])
        with pytest.raises(RuntimeError, match="answered before"):
            site.answer(site.waiting[0])

    over_a_connection(talk)


def test_an_answer_for_a_caller_that_has_gone_is_dropped() -> None:
    async def talk(site: Site, caller: Caller) -> None:
        site.hold = True
        caller.send(post(b"x"))
        await until(lambda: site.waiting)
        caller.writer.close()
        await until(lambda: not site.server.server_state.connections)
        site.answer(site.waiting[0])

    over_a_connection(talk)


def test_a_server_that_stops_answers_what_it_has_and_closes() -> None:
    async def talk(site: Site, caller: Caller) -> None:
        site.hold = True
        caller.send(post(b"x"))
        await until(lambda: site.waiting)
        site.server.should_exit = True
        await until(lambda: not site.waiting[0].keep_alive)
        site.answer(site.waiting[0])
        status, headers, _ = await caller.heard()
        assert (status, headers["connection"]) == (200, "close")
        assert await caller.closed()

    over_a_connection(talk)


def test_an_idle_connection_is_closed_after_its_time() -> None:
    async def talk(site: Site, caller: Caller) -> None:
        await caller.send(post(b"x")).heard()
        await caller.send(post(b"y")).heard()
        assert await caller.closed()

    over_a_connection(talk, timeout_keep_alive=1)


def test_a_connection_with_a_request_under_way_is_not_idle() -> None:
    async def talk(site: Site, caller: Caller) -> None:
        await caller.send(post(b"x")).heard()
        site.hold = True
        caller.send(post(b"slow"))
        await until(lambda: site.waiting)
        await asyncio.sleep(0.3)  # beyond the time, which must not matter
        site.answer(site.waiting[0])
        assert (await caller.heard())[2]["body"] == "slow"

    over_a_connection(talk, timeout_keep_alive=0.1)


def test_fault_1_3_no_request_behind_a_refused_one_is_handled() -> None:
    async def talk(site: Site, caller: Caller) -> None:
        site.hold = True
        caller.send(b"GET / HTTP/1.1\r\nhost: t\r\na: " + b"v" * 10_000 + b"\r\n\r\n" + post(b"x"))
        assert (await caller.heard())[0] == 431
        assert await caller.closed()
        assert site.waiting == []

    over_a_connection(talk)


def test_fault_1_3_bodies_of_direct_requests_count_until_they_are_answered() -> None:
    async def talk(site: Site, caller: Caller) -> None:
        protocol: Any = site.server.config.http_protocol_class
        site.hold = True
        caller.send(post(b"x" * 900))
        await until(lambda: site.waiting)
        assert protocol.shared.body_bytes == 900
        site.answer(site.waiting[0])
        assert (await caller.heard())[0] == 200
        assert protocol.shared.body_bytes == 0

    over_a_connection(talk)
