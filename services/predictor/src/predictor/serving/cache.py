"""Gives a score again, where the policy of a version allows it.

An outage is a miss: it is counted, the model runs, and no caller notices.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence

from predictor.domain.caching import packed, score_key, unpacked
from predictor.ports import KeptScores
from predictor.serving.breaker import Breaker
from predictor.serving.metrics import CACHE_FAILURES, CACHE_HITS, CACHE_MISSES
from predictor.serving.prediction import Prediction

Misses = Sequence[tuple[bytes, Prediction]]
"""Predictions whose scores were not there, each with the name that it would have."""


class PredictionCache:
    """Scores behind a circuit breaker.

    Args:
        timeout: seconds after which a read or a write has failed.
        pause: seconds without either after one that failed.
    """

    def __init__(
        self,
        kept: KeptScores,
        *,
        timeout: float,
        pause: float,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kept = kept
        self._breaker = Breaker(
            "the prediction cache", CACHE_FAILURES, timeout=timeout, pause=pause, now=now
        )

    async def look_up(self, batch: Sequence[Prediction]) -> Misses:
        """Give predictions the scores that are there; returns those that may be kept later."""
        asked = [
            (_key(each), each)
            for each in batch
            if each.version.cache_seconds is not None and each.error is None
        ]
        if not asked:
            return ()
        keys = [key for key, _ in asked]
        found = await self._breaker.ask(lambda: self._kept.get(keys))
        if found is None:
            found = [None] * len(asked)
        misses: list[tuple[bytes, Prediction]] = []
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
            await self._breaker.ask(lambda: self._kept.put(entries))

    async def close(self) -> None:
        """Close the connections."""
        await self._kept.close()


def _key(each: Prediction) -> bytes:
    version = each.version
    return score_key(version.model, version.version, version.sha256, each.entity, each.row)


def _count(asked: Misses) -> None:
    counts = Counter((each.version.model, each.cached) for _, each in asked)
    for (model, hit), count in counts.items():
        (CACHE_HITS if hit else CACHE_MISSES).labels(model).inc(count)
