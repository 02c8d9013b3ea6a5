"""Sends refusals no faster than it can be afforded.

A refusal costs a good part of an answer. Callers who try again at once would have the predictor do
nothing but refuse, so refusals beyond a rate wait their turn: the connections that wait for them
send nothing meanwhile, and the processor is left to those who are answered.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable

TICK_SECONDS = 0.01
"""From one handful of refusals to the next."""
BURST_SECONDS = 0.1
"""Worth of refusals that may go at once: the loop may be late by so much."""


class RefusalLimiter:
    """A queue of refusals, which is drained at a rate, 0 for no bound; for one event loop."""

    def __init__(self, per_second: int, now: Callable[[], float] = time.monotonic) -> None:
        self._per_second = per_second
        self._most = max(1.0, per_second * BURST_SECONDS)
        """Allowed at once: what was not sent in a quiet time is not made up for."""
        self._now = now
        self._allowed = self._most
        self._counted = now()
        self._waiting: deque[Callable[[], None]] = deque()

    def __len__(self) -> int:
        """Refusals that wait."""
        return len(self._waiting)

    def send(self, refusal: Callable[[], None]) -> None:
        """Send a refusal now, or when it is its turn; on the event loop."""
        if not self._per_second or (not self._waiting and self._allows()):
            refusal()
            return
        self._waiting.append(refusal)
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_later(TICK_SECONDS, self.tick)

    async def turn(self) -> None:
        """Wait until a refusal may be sent."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.send(lambda: None if turn.done() else turn.set_result(None))
        await turn

    def tick(self) -> None:
        """Send what is allowed by now."""
        while self._waiting and self._allows():
            self._waiting.popleft()()
        if self._waiting:
            asyncio.get_running_loop().call_later(TICK_SECONDS, self.tick)

    def _allows(self) -> bool:
        now = self._now()
        grown = self._allowed + (now - self._counted) * self._per_second
        self._allowed, self._counted = min(self._most, grown), now
        if self._allowed < 1.0:
            return False
        self._allowed -= 1.0
        return True
