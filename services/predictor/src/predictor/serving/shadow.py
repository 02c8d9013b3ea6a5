"""Lets a challenger in shadow score what the champion answered, while nobody waits for an answer.

What its budget does not cover is dropped and counted. Nothing that goes wrong here reaches a
caller: the answers were sent before.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from predictor.domain.batching import grouped
from predictor.domain.shares import is_shadowed
from predictor.ports import Journal
from predictor.serving.metrics import SHADOW_DROPPED, SHADOWED
from predictor.serving.prediction import Prediction
from predictor.serving.record import PredictionLog
from predictor.serving.scoring import score, score_in_children
from predictor.serving.stored import StoredFeatures
from servicekit.clock import Clock
from servicekit.errors import ServicekitError

log = logging.getLogger(__name__)

ROWS = 32
"""Most rows in one run: a request that comes meanwhile waits for it."""
REST_SECONDS = 0.002
"""Shortest time between two runs, and between two looks whether there is nothing to answer."""
_BUDGET = frozenset({"overloaded", "stopping"})
"""Refusals of the worker processes that say nothing of the version."""


class Shadow:
    """Takes answered predictions on the event loop, and scores them there when it is idle.

    Args:
        stored: the feature store, behind a circuit breaker of its own.
        share: of the champion's predictions that it may score.
        load: share of the time that models may take.
        rest_seconds: shortest time between two runs.
    """

    def __init__(
        self,
        stored: StoredFeatures,
        journal: Journal,
        clock: Clock,
        *,
        share: float,
        queue: int,
        load: float,
        rest_seconds: float = REST_SECONDS,
    ) -> None:
        self._stored = stored
        self._journal = journal
        self.log = PredictionLog(journal, clock, shadow=True)
        self._share, self._most, self._load = share, queue, load
        self._rest = rest_seconds
        self._waiting: deque[Prediction] = deque()
        self._task: asyncio.Task[None] | None = None
        self.must_wait: Callable[[], bool] = lambda: False
        """Whether there are requests to answer."""
        self._closing = False

    def offer(self, answered: Iterable[Prediction]) -> None:
        """Queue what a challenger is to score; on the event loop."""
        for each in answered:
            if each.sent is not None:
                self._queue(each)
        if self._waiting and self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._work())

    async def close(self, seconds: float) -> None:
        """Score what waits, for at most so many seconds; nothing is offered any more."""
        self._closing = True
        deadline = time.monotonic() + seconds
        if self._task is not None:
            await asyncio.wait([self._task], timeout=seconds)
        while self._waiting and time.monotonic() < deadline:
            await self._run()
        _drop(self._waiting, "stopped")
        self._waiting.clear()

    def _queue(self, answered: Prediction) -> None:
        route = answered.route
        if route.challenger is None or not is_shadowed(answered.prediction_id, route.shadow):
            return
        if not is_shadowed(answered.prediction_id, self._share):
            SHADOW_DROPPED.labels(route.model, "share").inc()
        elif len(self._waiting) >= self._most:
            SHADOW_DROPPED.labels(route.model, "queue").inc()
        else:
            self._waiting.append(answered.repeated_for(route.challenger))

    async def _work(self) -> None:
        rest = self._rest
        while self._waiting and not self._closing:
            await asyncio.sleep(rest)
            rest = self._rest
            if self._waiting and not self.must_wait():
                rest = rest_after(await self._run(), self._load, self._rest)
        self._task = None

    async def _run(self) -> float:
        """Score the rows that have waited longest; returns seconds of the models' time."""
        batch = [self._waiting.popleft() for _ in range(min(ROWS, len(self._waiting)))]
        try:
            if self._journal.stalled:
                _drop(batch, "log")
                return 0.0
            without_row = [each for each in batch if each.sent is not None]
            for each in without_row:
                each.read(each.sent or {})
            await self._stored.fill_rows(without_row)
            started = time.perf_counter()
            score(batch)
            await score_in_children(batch)
            took = time.perf_counter() - started
            self._write(batch)
        except Exception:
            log.exception("%d rows in shadow", len(batch))
            _drop(batch, "failed")
            return 0.0
        return took

    def _write(self, batch: Sequence[Prediction]) -> None:
        no_room = [each for each in batch if each.error and each.error.code in _BUDGET]
        _drop(no_room, "workers")
        kept = [each for each in batch if each not in no_room]
        if not kept:
            return

        def on_done(sent: int, error: ServicekitError | None) -> None:
            if error is not None:
                _drop(kept[:sent], "log")

        sent = self.log.record(kept, on_done)
        _drop(kept[sent:], "log")
        for version, group in grouped((each.version, each) for each in kept[:sent]).items():
            SHADOWED.labels(version.model, version.version).inc(len(group))


def rest_after(took: float, load: float, least: float) -> float:
    """Seconds to leave the process alone after work that took so many.

    Args:
        took: seconds of work.
        load: largest share of the time that may be work, above 0.
        least: shortest rest.
    """
    return max(least, took / load - took)


def _drop(batch: Iterable[Prediction], reason: str) -> None:
    for each in batch:
        SHADOW_DROPPED.labels(each.version.model, reason).inc()
