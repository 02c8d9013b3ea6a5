"""Gives a score again, where the policy of a version allows it.

An outage is a miss: it is counted, the model runs, and no caller hears of it.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol, TypeVar

from predictor.domain.caching import packed, score_key, unpacked
from predictor.domain.errors import RefusalError
from predictor.domain.features import Value
from predictor.handlers.loaded import LoadedVersion
from predictor.handlers.metrics import CACHE_FAILURES, CACHE_HITS, CACHE_MISSES
from predictor.ports import KeptScores
from servicekit.errors import UnavailableError

log = logging.getLogger(__name__)


class Cacheable(Protocol):
    """A prediction whose row is filled."""

    version: LoadedVersion
    entity: str
    row: list[Value]
    score: float | None
    error: RefusalError | None
    cached: bool


T = TypeVar("T")
Misses = Sequence[tuple[bytes, Cacheable]]
"""Predictions whose scores were not there, each with the name that it would have."""


class PredictionCache:
    """Scores behind a time limit and a circuit breaker: an outage costs few requests a wait."""

    def __init__(
        self,
        kept: KeptScores,
        *,
        timeout: float,
        pause: float,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Asks when it is asked.

        Args:
            kept: where the scores lie.
            timeout: seconds after which a read or a write has failed.
            pause: seconds without either after one that failed.
            now: monotonic seconds.
        """
        self._kept = kept
        self._timeout = timeout
        self._pause = pause
        self._now = now
        self._closed_until = -float("inf")

    async def look_up(self, batch: Sequence[Cacheable]) -> Misses:
        """Give predictions the scores that are there; returns those that may be kept later."""
        asked = [
            (_key(each), each)
            for each in batch
            if each.version.cache_seconds is not None and each.error is None
        ]
        if not asked:
            return ()
        keys = [key for key, _ in asked]
        found = await self._in_time(lambda: self._kept.get(keys))
        if found is None:
            found = [None] * len(asked)
        misses: list[tuple[bytes, Cacheable]] = []
        for (key, each), data in zip(asked, found, strict=True):
            each.score = unpacked(key, data)
            each.cached = each.score is not None
            if not each.cached:
                misses.append((key, each))
        _count(asked)
        return misses

    async def keep(self, misses: Misses) -> None:
        """Keep what the models have answered since."""
        entries = [
            (key, packed(key, each.score), each.version.cache_seconds)
            for key, each in misses
            if each.score is not None and each.version.cache_seconds is not None
        ]
        if entries:
            await self._in_time(lambda: self._kept.put(entries))

    async def close(self) -> None:
        """Let go of the connections."""
        await self._kept.close()

    async def _in_time(self, work: Callable[[], Awaitable[T]]) -> T | None:
        """What it gives; None when it is too slow, fails, or did so just now."""
        if self._now() < self._closed_until:
            return None
        try:
            async with asyncio.timeout(self._timeout):
                return await work()
        except (UnavailableError, TimeoutError) as error:
            self._closed_until = self._now() + self._pause
            CACHE_FAILURES.inc()
            log.warning("the prediction cache is away for %.1f s: %r", self._pause, error)
            return None


def _key(each: Cacheable) -> bytes:
    version = each.version
    return score_key(version.model, version.version, version.sha256, each.entity, each.row)


def _count(asked: Misses) -> None:
    counts = Counter((each.version.model, each.cached) for _, each in asked)
    for (model, hit), count in counts.items():
        (CACHE_HITS if hit else CACHE_MISSES).labels(model).inc(count)
