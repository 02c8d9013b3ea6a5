"""Publishes events from an event loop, and wakes it once for many acknowledgements."""

import asyncio
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from servicekit.bus import Sender
from servicekit.cloudevents import encode
from servicekit.event import Event
from servicekit.telemetry.metrics import EVENTS_PUBLISHED
from servicekit.telemetry.tracing import traced


class AsyncPublisher:
    """Publishes over any sender, and returns when the broker has acknowledged.

    Used from one event loop. Acknowledgements come on a thread of the sender;
    those that come close together are one wake-up of the loop, so that a wait costs little.
    """

    def __init__(self, sender: Sender, service: str) -> None:
        self._sender = sender
        self._service = service
        self._loop: asyncio.AbstractEventLoop | None = None
        self._answers: deque[tuple[_Waiter, BaseException | None]] = deque()
        self._woken = False

    async def publish(self, event: Event[Any]) -> None:
        """Publish one event; see `publish_many`."""
        await self.publish_many((event,))

    async def publish_many(self, events: Iterable[Event[Any]]) -> None:
        """Publish events; an event without a trace gets that of the current span.

        Raises:
            OverloadedError: the sender's queue is full; a part of the events may have been sent,
                so send all of them again, with the same ids.
            UnavailableError: not all were acknowledged; send all of them again, with the same ids.
        """
        records = [encode(event) for event in traced(events)]
        if not records:
            return
        self._loop = asyncio.get_running_loop()
        waiter = _Waiter(self._loop.create_future(), len(records))
        try:
            for record in records:
                self._sender.send(record).add_done_callback(
                    lambda done: self._answered(waiter, done)
                )
            await waiter.future
        finally:
            waiter.future.cancel()
        for record in records:
            EVENTS_PUBLISHED.labels(self._service, record.topic).inc()

    def _answered(self, waiter: "_Waiter", done: "Future[None]") -> None:
        """Take an acknowledgement, on whatever thread it comes."""
        self._answers.append((waiter, done.exception()))
        if not self._woken and self._loop is not None:
            # Set before the call: who sees it set knows that the loop has yet to look.
            self._woken = True
            try:
                self._loop.call_soon_threadsafe(self._hand_out)
            except RuntimeError:  # the loop is closed, and nobody waits any more
                self._woken = False

    def _hand_out(self) -> None:
        self._woken = False
        while self._answers:
            waiter, error = self._answers.popleft()
            waiter.left -= 1
            if waiter.future.done():
                continue
            if error is not None:
                waiter.future.set_exception(error)
            elif not waiter.left:
                waiter.future.set_result(None)


@dataclass(slots=True)
class _Waiter:
    """Somebody who waits for a number of acknowledgements."""

    future: "asyncio.Future[None]"
    left: int
