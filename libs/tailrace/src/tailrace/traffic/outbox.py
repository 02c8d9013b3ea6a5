"""Sends in the background, in order, as much at a time as has gathered."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

Rows = list[dict[str, Any]]


class Outbox:
    """A queue that one task empties, batch by batch."""

    def __init__(self, send: Callable[[Rows], Awaitable[None]], largest: int = 2000) -> None:
        self._send = send
        self._largest = largest
        self._rows: Rows = []
        self._filled = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()
        self.sent = 0
        self._task = asyncio.create_task(self._work())

    def put(self, rows: Rows) -> None:
        """Send the rows soon.

        Raises:
            Exception: what an earlier sending failed with.
        """
        self._raise_failure()
        if rows:
            self._rows.extend(rows)
            self._empty.clear()
            self._filled.set()

    @property
    def waiting(self) -> int:
        """Rows that are still to be sent."""
        return len(self._rows)

    async def drain(self) -> None:
        """Wait until everything is sent."""
        emptied = asyncio.create_task(self._empty.wait())
        await asyncio.wait({emptied, self._task}, return_when=asyncio.FIRST_COMPLETED)
        emptied.cancel()
        self._raise_failure()

    async def close(self) -> None:
        """Stop, whatever is left."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def _raise_failure(self) -> None:
        if self._task.done() and not self._task.cancelled() and (failure := self._task.exception()):
            raise failure

    async def _work(self) -> None:
        while True:
            await self._filled.wait()
            batch = self._rows[: self._largest]
            await self._send(batch)
            del self._rows[: len(batch)]
            self.sent += len(batch)
            if not self._rows:
                self._filled.clear()
                self._empty.set()
