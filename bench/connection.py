"""A connection of HTTP/1.1 with one request at a time, cheap enough for clients on one core.

Streams of asyncio and their tasks take so much of it that it is the clients who would wait.
"""

import asyncio
import re
from typing import cast

LENGTH = re.compile(rb"\r\ncontent-length: (\d+)", re.IGNORECASE)


def post(path: str, body: str) -> bytes:
    """A request with a JSON body."""
    head = f"POST {path} HTTP/1.1\r\nhost: bench\r\ncontent-type: application/json\r\n"
    data = body.encode()
    return f"{head}content-length: {len(data)}\r\n\r\n".encode() + data


class Connection(asyncio.Protocol):
    """Puts answers together; what is done with them is the subclass's."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by its class

    @property
    def transport(self) -> asyncio.Transport:
        """Of the connection, once it is made."""
        assert self._transport is not None
        return self._transport

    def data_received(self, data: bytes) -> None:
        data = self._data + data if self._data else data
        head, length = data.find(b"\r\n\r\n"), LENGTH.search(data)
        if head < 0 or length is None or len(data) < head + 4 + int(length[1]):
            self._data = data
            return
        self._data = b""
        self.answered(int(data[9:12]), data)

    def answered(self, status: int, answer: bytes) -> None:
        """A whole answer has come: its status, and all of its bytes."""
        raise NotImplementedError
