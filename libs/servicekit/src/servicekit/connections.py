"""What one caller may take of a process: connections, bytes of headers and bodies, and time.

A connection owes something while a request of it is under way to us, or an answer to it: the bytes
of either may never come through. Those that owe are kept in the order in which they began, so that
the one that has owed longest is known at once: it makes room where there are too many connections,
and it is closed when its time is up.
"""

import asyncio
import logging
import sys
from dataclasses import dataclass, field
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from servicekit.telemetry.metrics import CONNECTIONS, CONNECTIONS_CLOSED

log = logging.getLogger(__name__)

LINGER_SECONDS = 2.0
"""How long the rest of a refused request is read and thrown away, so that its sender comes to read
the answer: to close on unread bytes resets the connection (RFC 9112, 9.6)."""
LINGER_BYTES = 32 * 1024 * 1024
SMALL_BODY = 16 * 1024
"""Bytes of a body that are taken even when the bodies of all requests are over their limit."""
SWEEP_SECONDS = 1.0
SPARE_FILES = 256
"""File descriptors for all that is no connection of a caller."""


@dataclass(frozen=True)
class Limits:
    """See the settings of the same names."""

    max_connections: int
    max_header_bytes: int
    max_bodies_bytes: int
    request_read_seconds: float


@dataclass
class Connections:
    """All connections of a process; for one event loop."""

    limits: Limits
    open: int = 0
    owing: dict["BoundedProtocol", float] = field(default_factory=dict)
    """Since when each owes, on the loop's clock; the longest first."""
    body_bytes: int = 0
    """Of bodies that came and whose requests have no answer yet."""
    _sweep: asyncio.TimerHandle | None = None
    _logged: set[str] = field(default_factory=set)

    def enter(self, protocol: "BoundedProtocol") -> bool:
        """Whether there is room for one more; the one that has owed longest may have to go."""
        self.open += 1
        CONNECTIONS.inc()
        if self.open > self.limits.max_connections:
            longest = next(iter(self.owing), None)
            if longest is None:
                return False
            longest.refuse(503, "connections", "there are too many connections: try again")
        self.owing[protocol] = protocol.loop.time()
        if self._sweep is None:
            self._sweep = protocol.loop.call_later(SWEEP_SECONDS, self._close_overdue, protocol)
        return True

    def leave(self, protocol: "BoundedProtocol") -> None:
        """One has closed."""
        self.open -= 1
        CONNECTIONS.dec()
        self.owing.pop(protocol, None)

    def closed(self, reason: str, remedy: str) -> None:
        """Count a connection that was closed, and log the first of each reason."""
        CONNECTIONS_CLOSED.labels(reason).inc()
        if reason not in self._logged:
            self._logged.add(reason)
            log.warning("a connection was closed: %s; further ones are counted alone", remedy)

    def _close_overdue(self, protocol: "BoundedProtocol") -> None:
        self._sweep = None
        loop, limit = protocol.loop, self.limits.request_read_seconds
        for each, since in list(self.owing.items()):
            if loop.time() - since < limit:
                break
            each.refuse(
                408, "time", f"a request has {limit:g} s to arrive whole (REQUEST_READ_SECONDS)"
            )
        if self.owing:
            self._sweep = loop.call_later(SWEEP_SECONDS, self._close_overdue, protocol)


class BoundedProtocol(HttpToolsProtocol):
    """Uvicorn's protocol for one connection, within the limits of `shared`."""

    shared: Connections

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._in_head = False
        self._untold_bytes = 0
        """Of a request, since the parser last told of its begin, of its head or of its body."""
        self._most_head_bytes = 0
        """The head that is being read has no more, so that nearly none has to be measured."""
        self._told = 0
        """How often it did."""
        self._body_bytes = 0
        self._lingering: int | None = None
        """Bytes that are still thrown away; None: the connection is in use."""
        self._whole = True
        """Whether all of the newest request has come."""

    @property
    def refused(self) -> bool:
        """Whether what still comes is thrown away."""
        return self._lingering is not None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A caller is there."""
        super().connection_made(transport)
        if not self.shared.enter(self):
            self.refuse(503, "connections", "there are too many connections: try again")

    def connection_lost(self, exc: Exception | None) -> None:
        """The caller has gone."""
        self.shared.leave(self)
        self.release()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes came."""
        if self._lingering is not None:
            self._lingering -= len(data)
            if self._lingering < 0:
                self.transport.abort()
            return
        told = self._told
        self._most_head_bytes = len(data) + (self._most_head_bytes if self._in_head else 0)
        super().data_received(data)
        # A header, a trailer or a chunk's extension without an end calls nobody, so what came of it
        # is counted here.
        if not self._whole and self._told == told and self._lingering is None:
            self._untold_bytes += len(data)
            if self._untold_bytes > self.shared.limits.max_header_bytes:
                self._refuse_head()

    def begin(self) -> None:
        """The first byte of a request has come."""
        self._tell()
        self._in_head = True
        self._whole = False
        self.shared.owing.setdefault(self, self.loop.time())

    def head_came(self) -> bool:
        """All headers have come; whether they are within their limit."""
        self._tell()
        self._in_head = False
        limit = self.shared.limits.max_header_bytes
        if self._most_head_bytes <= limit:
            return True
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) <= limit:
            return True
        self._refuse_head()
        return False

    def body_came(self, body: bytes) -> bool:
        """A part of a body has come; whether it is within the limit."""
        self._tell()
        cycle: Any = self.cycle
        if cycle.response_complete:
            return True  # it is thrown away
        self._body_bytes += len(body)
        self.shared.body_bytes += len(body)
        limit = self.shared.limits.max_bodies_bytes
        if self.shared.body_bytes > limit and self._body_bytes > SMALL_BODY:
            self.refuse(503, "bodies", f"bodies over {limit} bytes are under way: try again later")
            return False
        return True

    def end(self) -> None:
        """The last byte of a request has come."""
        self._whole = True
        self.shared.owing.pop(self, None)

    def on_message_begin(self) -> None:
        """The parser is at a new request."""
        if self._lingering is not None:
            return
        self.begin()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The parser has all headers."""
        if self._lingering is not None or not self.head_came():
            return
        super().on_headers_complete()
        self.cycle.transport = _Lingering(self)  # pyright: ignore[reportAttributeAccessIssue]

    def on_body(self, body: bytes) -> None:
        """The parser has a part of the body."""
        if self._lingering is None and self.body_came(body):
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The parser has all of the request."""
        if self._lingering is not None:
            return
        self.end()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """A request was answered."""
        self.release()
        super().on_response_complete()

    def pause_writing(self) -> None:
        """The caller does not read: it owes us that."""
        super().pause_writing()
        self.shared.owing.setdefault(self, self.loop.time())

    def resume_writing(self) -> None:
        """The caller reads again."""
        super().resume_writing()
        if self._whole:
            self.shared.owing.pop(self, None)

    def refuse(self, status: int, reason: str, text: str) -> None:
        """Answer in place of the service, where no answer has begun, and close."""
        self.shared.owing.pop(self, None)
        if self._lingering is not None or self.transport.is_closing():
            return
        self.shared.closed(reason, text)
        cycle: Any = self.cycle
        begun = answered = False
        if cycle is not None and cycle.response_complete:
            # A second answer would be taken for that of another request.
            answered = not self._whole and not self._in_head
        elif cycle is not None:
            cycle.disconnected = True
            cycle.message_event.set()
            begun = getattr(cycle, "response_started", False)
        self.release()
        # With requests in the pipeline it would stand in the place of an earlier one's answer.
        if self.flow.write_paused or begun or self.pipeline:
            self.transport.abort()
            return
        if not answered:
            self._write_refusal(status, text)
        self.linger()

    def release(self) -> None:
        """What came of bodies is held no more."""
        self.shared.body_bytes -= self._body_bytes
        self._body_bytes = 0

    def _write_refusal(self, status: int, text: str) -> None:
        self.transport.write(
            b"%bcontent-type: text/plain; charset=utf-8\r\n%bcontent-length: %d\r\n"
            b"connection: close\r\n\r\n%b"
            % (
                STATUS_LINE[status],
                b"retry-after: 1\r\n" if status == 503 else b"",
                len(text),
                text.encode(),
            )
        )

    def linger(self) -> None:
        """Close, after what the caller still sends has been read and thrown away."""
        if self._lingering is not None or self.transport.is_closing():
            return
        if self._whole or not self.transport.can_write_eof():
            self.transport.close()
            return
        self._lingering = LINGER_BYTES
        self.flow.resume_reading()
        self.transport.write_eof()
        self.loop.call_later(LINGER_SECONDS, self.transport.close)

    def _refuse_head(self) -> None:
        limit = self.shared.limits.max_header_bytes
        self.refuse(
            431, "headers", f"target and headers have more than {limit} bytes (MAX_HEADER_BYTES)"
        )

    def _tell(self) -> None:
        self._untold_bytes = 0
        self._told += 1


class _Lingering:
    """The transport of an answer: it closes as `BoundedProtocol.linger` does."""

    def __init__(self, protocol: BoundedProtocol) -> None:
        self._protocol = protocol
        self.write = protocol.transport.write
        self.is_closing = protocol.transport.is_closing

    def close(self) -> None:
        self._protocol.linger()


def bounded(
    limits: Limits, protocol: type[BoundedProtocol] = BoundedProtocol
) -> type[BoundedProtocol]:
    """The protocol for uvicorn's `http` whose connections share these limits."""
    _allow_files(limits.max_connections + SPARE_FILES)
    return type("Bounded", (protocol,), {"shared": Connections(limits)})


def _allow_files(needed: int) -> None:
    """Raise the soft limit of open files, so that connections end at theirs and not at that."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < needed:
        log.warning("MAX_CONNECTIONS needs %d open files, and the limit is %d", needed, allowed)
