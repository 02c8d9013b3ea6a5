"""Requests that go past ASGI: whole and small ones, to paths that a service names.

An ASGI server makes a task, a scope and three messages of each request, which costs more than twice
what the parser and the socket do. `DirectProtocol` is uvicorn's own protocol, with a shorter way
for requests that need none of it: plain POSTs of HTTP/1.1 on a connection that stays open. All
others go on as ever: chunked or large bodies, `Expect`, upgrades, traced and pipelined requests.
"""

import logging
from asyncio import TimerHandle
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from predictor.api.headers import Header
from servicekit.connections import BoundedProtocol
from servicekit.telemetry.tracing import exporting

log = logging.getLogger(__name__)

LARGEST_BODY = 64 * 1024
"""Bytes; more is left to uvicorn, which can stop reading."""

_UNUSUAL = frozenset({b"expect", b"transfer-encoding", b"upgrade", b"traceparent"})
"""Headers of requests that go through ASGI."""


class DirectRequest:
    """A request that waits for its one answer.

    It stands in for uvicorn's cycle, so that requests behind it in the connection wait for it, and
    a server that stops does too.
    """

    __slots__ = ("_protocol", "body", "disconnected", "headers", "keep_alive", "response_complete")

    def __init__(self, protocol: "DirectProtocol", headers: list[Header]) -> None:
        self._protocol = protocol
        self.headers = headers
        self.body = b""
        self.disconnected = False
        """Whether the caller has gone; an answer is then dropped."""
        self.keep_alive = True
        """Whether the connection outlives the answer; a server that stops says it does not."""
        self.response_complete = False

    @property
    def message_event(self) -> "DirectRequest":
        """Uvicorn sets it when the caller has gone."""
        return self

    def set(self) -> None:
        """Nobody waits here."""

    def answer(self, status: int, headers: tuple[Header, ...], body: bytes) -> None:
        """Send the answer; its headers name neither a length nor `connection: close`.

        Raises:
            RuntimeError: it was answered before.
        """
        if self.response_complete:
            raise RuntimeError("this request was answered before")
        self.response_complete = True
        self._protocol.send_answer(self, _head(status, headers), body)


Handler = Callable[[DirectRequest], None]
"""Sees to it that a request is answered, now or later; on the event loop, without blocking."""


@dataclass(frozen=True)
class Direct:
    """What is served past ASGI."""

    find: Callable[[bytes], Handler | None]
    """The handler of a target (path and query, as the request line has them)."""
    max_body_bytes: int = LARGEST_BODY
    """Larger requests go through ASGI, which also tells callers of limits."""


class DirectProtocol(BoundedProtocol):
    """Uvicorn's protocol for one connection, see the module."""

    direct: Direct

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._find = self.direct.find
        self._max_body = min(self.direct.max_body_bytes, LARGEST_BODY)
        self._handler: Handler | None = None
        self._request: DirectRequest | None = None
        """The direct request whose body is being read."""
        self._idle_since: float | None = None
        self._idle_timer: TimerHandle | None = None

    def on_message_begin(self) -> None:
        """The parser is at a new request; what only ASGI needs is made when it is needed."""
        if self.refused:
            return
        self.begin()
        self.url = b""
        self.headers = []
        self._request = None
        self._idle_since = None

    def on_header(self, name: bytes, value: bytes) -> None:
        """The parser has a header."""
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """The parser has all headers: which way the request goes is known now."""
        if self.refused or not self.head_came():
            return
        handler = self._find(self.url)
        if handler is not None and self._is_plain():
            self._handler = handler
            self._request = self.cycle = DirectRequest(self, self.headers)  # pyright: ignore[reportAttributeAccessIssue]
            return
        url, headers = self.url, self.headers
        super().on_message_begin()
        self.url = url
        for name, value in headers:
            super().on_header(name, value)
        super().on_headers_complete()

    def _is_plain(self) -> bool:
        """Whether the request asks for nothing but to be read and answered."""
        if self.cycle is not None and not self.cycle.response_complete:  # pipelined
            return False
        if self.flow.write_paused or exporting():
            return False
        parser: Any = self.parser
        if parser.get_method() != b"POST" or parser.get_http_version() != "1.1":
            return False
        if not parser.should_keep_alive():
            return False
        for name, value in self.headers:
            if name in _UNUSUAL:
                return False
            if name == b"content-length" and int(value) > self._max_body:
                return False
        return True

    def on_body(self, body: bytes) -> None:
        """The parser has a part of the body."""
        request = self._request
        if request is None:
            super().on_body(body)
        elif not self.refused and self.body_came(body):
            request.body = request.body + body if request.body else body

    def on_message_complete(self) -> None:
        """The parser has all of the request."""
        request, handler = self._request, self._handler
        if request is None or handler is None or self.refused:
            super().on_message_complete()
            return
        self.end()
        self._request = None
        try:
            handler(request)
        except Exception:
            log.exception("a request failed")
            if not request.response_complete:
                request.answer(500, _TEXT, b"Internal Server Error")

    def send_answer(self, request: DirectRequest, head: bytes, body: bytes) -> None:
        """Write an answer, and go on with what waits behind it."""
        self.release()
        transport = self.transport
        if not request.disconnected and not transport.is_closing():
            transport.write(
                b"%b%bcontent-length: %d\r\n%b\r\n%b"
                % (
                    head,
                    _default_head(self.server_state),
                    len(body),
                    b"" if request.keep_alive else b"connection: close\r\n",
                    body,
                )
            )
            if not request.keep_alive:
                transport.close()
        if self.pipeline or transport.is_closing():
            self.on_response_complete()
            return
        self.server_state.total_requests += 1
        # One timer a connection, which looks at this when it rings: to set one for each answer and
        # stop it at the next request would cost more than to write the answer.
        self._idle_since = self.loop.time()
        if self._idle_timer is None:
            self._idle_timer = self.loop.call_later(self.timeout_keep_alive, self._look_at_idle)

    def _look_at_idle(self) -> None:
        """Close the connection when nothing has come since the last direct answer."""
        self._idle_timer = None
        since, now = self._idle_since, self.loop.time()
        if since is not None and now - since >= self.timeout_keep_alive:
            self.timeout_keep_alive_handler()
            return
        # Without a time, a request is under way, or uvicorn's own timer minds the connection.
        left = self.timeout_keep_alive - (0.0 if since is None else now - since)
        self._idle_timer = self.loop.call_later(left, self._look_at_idle)

    def connection_lost(self, exc: Exception | None) -> None:
        """The caller has gone."""
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        super().connection_lost(exc)


def protocol_of(direct: Direct) -> type[DirectProtocol]:
    """The protocol for uvicorn's `http` that serves some requests directly."""
    return type("Direct", (DirectProtocol,), {"direct": direct})


_TEXT = ((b"content-type", b"text/plain; charset=utf-8"),)


@lru_cache(maxsize=256)
def _head(status: int, headers: tuple[Header, ...]) -> bytes:
    """Status line and headers as they are sent; answers have the same few again and again."""
    return STATUS_LINE[status] + b"".join(b"%b: %b\r\n" % header for header in headers)


_defaults: tuple[list[Header], bytes] = ([], b"")


def _default_head(state: Any) -> bytes:
    """What uvicorn puts before each answer, such as the date: a new list each second."""
    global _defaults
    given: list[Header] = state.default_headers
    if given is not _defaults[0]:
        _defaults = (given, b"".join(b"%b: %b\r\n" % header for header in given))
    return _defaults[1]
