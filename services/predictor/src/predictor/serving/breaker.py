"""Asks another process within a time limit, and leaves it alone for a while when it is away."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from prometheus_client import Counter

from servicekit.errors import UnavailableError

log = logging.getLogger(__name__)

T = TypeVar("T")


class Breaker:
    """A circuit breaker: an outage costs few requests a wait.

    Args:
        timeout: seconds after which an answer does not count any more.
        pause: seconds without a question after one that failed.
    """

    def __init__(
        self,
        name: str,
        failures: Counter,
        *,
        timeout: float,
        pause: float,
        now: Callable[[], float],
    ) -> None:
        self._name = name
        self._failures = failures
        self._timeout = timeout
        self._pause = pause
        self._now = now
        self._open_until = -float("inf")

    async def ask(self, question: Callable[[], Awaitable[T]]) -> T | None:
        """The answer; None when it is too slow, fails, or something did just now."""
        if self._now() < self._open_until:
            return None
        try:
            async with asyncio.timeout(self._timeout):
                return await question()
        except (UnavailableError, TimeoutError) as error:
            self._open_until = self._now() + self._pause
            self._failures.inc()
            log.warning("%s is away for %.1f s: %r", self._name, self._pause, error)
            return None
