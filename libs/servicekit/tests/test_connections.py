"""What one caller may take, asked with raw sockets: each limit at its edge, and others answered."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
import uvicorn
from fastapi import FastAPI, Request

from servicekit.connections import Limits, bounded
from servicekit.http import add_ops_routes

LIMITS = Limits(
    max_connections=1000,
    max_header_bytes=2000,
    max_bodies_bytes=200_000,
    request_read_seconds=60.0,
)


class Server:
    def __init__(self, limits: Limits) -> None:
        api = FastAPI()

        @api.post("/echo")
        async def echo(request: Request) -> int:
            return len(await request.body())

        @api.get("/page")
        async def page() -> str:
            return "a page"

        @api.post("/refuse")
        async def refuse() -> None:
            """Answers without a look at the body."""

        add_ops_routes(api, [], threading.Event())
        self.protocol = bounded(limits)
        config = uvicorn.Config(
            api, host="127.0.0.1", port=0, http=self.protocol, log_config=None, lifespan="off"
        )
        self._server = uvicorn.Server(config)
        self._listener = config.bind_socket()
        self._listener.listen(2048)
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._listener]}
        )
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def ask(self, data: bytes) -> bytes:
        with self.connect() as caller:
            caller.sendall(data)
            return answer(caller)


@contextmanager
def serving(**changes: float) -> Iterator[Server]:
    server = Server(Limits(**{**LIMITS.__dict__, **changes}))
    try:
        yield server
    finally:
        server.stop()


def answer(caller: socket.socket) -> bytes:
    """All that comes, until the end or the whole of one answer."""
    got = b""
    while part := caller.recv(65536):
        got += part
        head, _, body = got.partition(b"\r\n\r\n")
        length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
        if length and len(body) >= int(length):
            break
    return got


def eventually(condition: object, seconds: float = 15.0) -> None:
    until = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < until, "it did not come about in time"
        time.sleep(0.01)


def get(padding: int) -> bytes:
    """A request whose target, names and values have so many bytes."""
    rest = padding - len("/livez" + "host" + "x" + "a")
    return b"GET /livez HTTP/1.1\r\nhost: x\r\na: " + b"v" * rest + b"\r\n\r\n"


def test_fault_1_3_headers_are_taken_up_to_their_limit() -> None:
    with serving() as server:
        assert server.ask(get(2000)).startswith(b"HTTP/1.1 200")
        refused = server.ask(get(2001))
        assert refused.startswith(b"HTTP/1.1 431")
        assert b"MAX_HEADER_BYTES" in refused


@pytest.mark.parametrize(("size", "status"), [(2000, b"200"), (2001, b"431")])
def test_fault_1_3_a_head_in_pieces_has_the_same_limit(size: int, status: bytes) -> None:
    with serving() as server, server.connect() as caller:
        head = get(size)
        eventually(lambda: server.protocol.shared.owing)
        (connection,) = server.protocol.shared.owing
        for at in range(0, len(head), 700):
            eventually(lambda at=at: connection._most_head_bytes == at)  # the pieces come apart
            caller.sendall(head[at : at + 700])
        assert answer(caller).split(b" ")[1] == status


@pytest.mark.parametrize("endless", [b"a: v\r\n", b"v"], ids=["headers", "one header"])
def test_fault_1_3_a_head_without_an_end_is_refused_and_not_kept(endless: bytes) -> None:
    with serving() as server, server.connect() as caller:
        caller.sendall(b"GET /livez HTTP/1.1\r\nx: ")
        with pytest.raises(OSError):  # noqa: PT012, PT011 - reset, or a pipe that is closed
            for _ in range(100_000):
                caller.sendall(endless * 1000)
        assert server.protocol.shared.body_bytes == 0
        eventually(lambda: not server.protocol.shared.owing)


CHUNKED = b"POST /echo HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("start", "endless"),
    [(b"1\r\na\r\n0\r\n", b"t: v\r\n"), (b"1\r\na\r\n0\r\nt: ", b"v"), (b"1;", b"v")],
    ids=["trailers", "one trailer", "extension of a chunk"],
)
def test_fault_1_3_what_follows_or_frames_a_body_has_the_limit_of_headers(
    start: bytes, endless: bytes
) -> None:
    with serving() as server, server.connect() as caller:
        caller.sendall(CHUNKED + start)
        for _ in range(1_000_000 // len(endless) // 1000):
            caller.sendall(endless * 1000)
        assert answer(caller).startswith(b"HTTP/1.1 431")


def test_a_body_of_many_small_chunks_and_a_trailer_is_taken() -> None:
    with serving() as server:
        got = server.ask(CHUNKED + b"1\r\na\r\n" * 10_000 + b"0\r\nt: v\r\n\r\n")
        assert got.endswith(b"10000")


def test_fault_1_3_a_request_has_so_long_to_arrive() -> None:
    with serving(request_read_seconds=0.3) as server, ExitStack() as stack:
        callers = [stack.enter_context(server.connect()) for _ in range(3)]
        callers[1].sendall(b"POST /echo HTTP/1.1\r\nhos")
        callers[2].sendall(b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nsome")
        for caller in callers:
            assert answer(caller).startswith(b"HTTP/1.1 408")
        assert server.ask(get(100)).startswith(b"HTTP/1.1 200")


def test_fault_1_3_stalled_connections_make_room_for_those_that_ask() -> None:
    with serving(max_connections=10) as server, ExitStack() as stack:
        stalled = [stack.enter_context(server.connect()) for _ in range(30)]
        for _ in range(20):
            assert server.ask(get(100)).startswith(b"HTTP/1.1 200")
        assert server.protocol.shared.open <= 11
        assert answer(stalled[0]).startswith(b"HTTP/1.1 503"), "the longest had to go"


def test_fault_1_3_one_too_many_is_refused_where_none_owes_anything() -> None:
    with serving(max_connections=2) as server, ExitStack() as stack:
        for _ in range(2):
            busy = stack.enter_context(server.connect())
            busy.sendall(get(100))
            assert answer(busy).startswith(b"HTTP/1.1 200"), "and it stays open"
        refused = server.ask(b"")
        assert refused.startswith(b"HTTP/1.1 503")
        assert b"retry-after: 1" in refused


def post(size: int, sent: int) -> bytes:
    head = b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % size
    return head + b"b" * sent


def test_fault_1_3_bodies_under_way_have_a_limit_together() -> None:
    with serving() as server, ExitStack() as stack:
        shared = server.protocol.shared
        for number in range(4):
            caller = stack.enter_context(server.connect())
            caller.sendall(post(50_000, 49_000))
            eventually(lambda n=number: shared.body_bytes == 49_000 * (n + 1))
        assert server.ask(post(4000, 4000)).startswith(b"HTTP/1.1 200"), "196,000 + 4,000"
        refused = server.ask(post(20_001, 20_001))
        assert refused.startswith(b"HTTP/1.1 503")
        assert b"bodies over 200000 bytes" in refused
        assert server.ask(post(16_000, 16_000)).startswith(b"HTTP/1.1 200"), "a small one goes on"
    assert shared.body_bytes == 0


def test_a_body_that_was_answered_counts_no_more() -> None:
    with serving() as server, server.connect() as caller:
        for _ in range(10):
            caller.sendall(post(150_000, 150_000))
            assert answer(caller).endswith(b"150000")


EARLY = b"POST /refuse HTTP/1.1\r\nhost: x\r\ncontent-length: 500000\r\n\r\n"


def test_fault_1_3_a_body_that_is_thrown_away_counts_for_nobody() -> None:
    with serving() as server, server.connect() as caller:
        caller.sendall(EARLY)
        assert answer(caller).startswith(b"HTTP/1.1 200")
        caller.sendall(b"b" * 500_000)
        caller.sendall(get(100))
        assert answer(caller).startswith(b"HTTP/1.1 200")
        assert server.protocol.shared.body_bytes == 0


def test_fault_6_13_a_request_that_was_answered_gets_no_second_answer() -> None:
    with serving(request_read_seconds=0.3) as server, server.connect() as caller:
        caller.sendall(EARLY + b"b" * 1000)
        got = b""
        while part := caller.recv(65536):
            got += part
        assert got.count(b"HTTP/1.1") == 1
        assert got.startswith(b"HTTP/1.1 200")


def test_fault_6_13_a_refusal_is_read_though_the_body_goes_on() -> None:
    with serving(max_bodies_bytes=1_000_000) as server, server.connect() as caller:
        size = 30_000_000
        head = b"POST /echo HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % size
        caller.sendall(head + b"b" * size)
        assert answer(caller).startswith(b"HTTP/1.1 503")


def test_fault_6_13_an_answer_that_closes_is_read_though_the_body_goes_on() -> None:
    with serving(max_bodies_bytes=100_000_000) as server, server.connect() as caller:
        size = 30_000_000
        head = (
            b"POST /refuse HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
        )
        caller.sendall(head % size + b"b" * size)
        assert answer(caller).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("path", [b"/livez", b"/readyz", b"/metrics", b"/page"])
def test_fault_6_15_head_is_answered_wherever_get_is(path: bytes) -> None:
    with serving() as server, server.connect() as caller:
        caller.sendall(b"HEAD " + path + b" HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        got = b""
        while part := caller.recv(65536):
            got += part
        head, _, body = got.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        assert body == b""
