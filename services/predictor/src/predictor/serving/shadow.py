"""Lets a challenger in shadow score what the champion answered, while nobody waits for an answer.

It has a budget, and what that does not cover is dropped and counted. Nothing that goes wrong here
reaches a caller: the answers have gone.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from uuid import uuid4

from predictor.domain.batching import grouped
from predictor.domain.errors import RefusalError
from predictor.domain.features import Value
from predictor.domain.routing import Arm
from predictor.domain.shares import is_shadowed
from predictor.ports import Journal
from predictor.serving.metrics import SHADOW_DROPPED, SHADOWED
from predictor.serving.record import Entry, Latency, Logged, batch_of, entry, shared
from predictor.serving.routes.loaded import LoadedRoute, LoadedVersion
from predictor.serving.scoring import fill, score, score_remotely
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


@dataclass(frozen=True, slots=True)
class Budget:
    """What shadows may take; see `PredictorSettings`."""

    share: float
    queue: int
    load: float


class Answered(Protocol):
    """A prediction that was answered, or refused after it was routed."""

    route: LoadedRoute
    arm: Arm[LoadedVersion]
    prediction_id: str
    entity: str
    event_time: datetime
    traceparent: str | None
    pinned: bool
    row: list[Value]
    error: RefusalError | None
    sent: Mapping[str, Any] | None


class Trial:
    """A row that waits for the challenger."""

    __slots__ = (
        "answered",
        "error",
        "event_time",
        "features_ms",
        "filled",
        "inference_ms",
        "row",
        "score",
        "version",
    )

    def __init__(self, answered: Answered, version: LoadedVersion) -> None:
        self.answered = answered
        self.version = version
        self.event_time = answered.event_time
        self.error: RefusalError | None = None
        self.score: float | None = None
        self.features_ms = 0.0
        self.inference_ms = 0.0
        same = answered.arm.version.signature.inputs == version.signature.inputs
        self.filled = same and answered.error is None
        """Whether the champion saw the very row."""
        self.row: list[Value] = answered.row if self.filled else []

    def ask(self) -> None:
        """Make the row of what the caller sent."""
        sent, known = self.answered.sent or {}, self.answered.route.requested
        try:
            self.row = self.version.signature.request_values(sent, known)
        except RefusalError as refusal:
            self.error = refusal


class Shadow:
    """Takes answered predictions on the event loop, and scores them there when it is idle."""

    def __init__(
        self,
        stored: StoredFeatures,
        journal: Journal,
        clock: Clock,
        budget: Budget,
        *,
        rest_seconds: float = REST_SECONDS,
    ) -> None:
        """Ready for predictions.

        Args:
            stored: the feature store, behind a circuit breaker of its own.
            journal: takes the log records.
            clock: wall time.
            budget: what it may take.
            rest_seconds: shortest time between two runs.
        """
        self._stored = stored
        self._journal = journal
        self._clock = clock
        self._budget = budget
        self._rest = rest_seconds
        self._waiting: deque[Trial] = deque()
        self._task: asyncio.Task[None] | None = None
        self.busy: Callable[[], bool] = lambda: False
        """Whether there is something to answer."""
        self.replica = str(uuid4())
        """Names these records in the log: their numbers are not those of the answers."""
        self.sequence = 0
        """Number of the next log record."""
        self._closing = False

    def offer(self, answered: Sequence[Answered]) -> None:
        """Keep what a challenger is to see; on the event loop."""
        for each in answered:
            # A challenger's own rows need no shadow, and a tester's are no part of the traffic.
            if each.sent is not None and each.arm is each.route.champion and not each.pinned:
                self._keep(each)
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

    def _keep(self, answered: Answered) -> None:
        route = answered.route
        if route.challenger is None or not is_shadowed(answered.prediction_id, route.shadow):
            return
        if not is_shadowed(answered.prediction_id, self._budget.share):
            SHADOW_DROPPED.labels(route.model, "share").inc()
        elif len(self._waiting) >= self._budget.queue:
            SHADOW_DROPPED.labels(route.model, "queue").inc()
        else:
            self._waiting.append(Trial(answered, route.challenger.version))

    async def _work(self) -> None:
        rest = self._rest
        while self._waiting and not self._closing:
            await asyncio.sleep(rest)
            rest = self._rest
            if self._waiting and not self.busy():
                rest = rest_after(await self._run(), self._budget.load, self._rest)
        self._task = None

    async def _run(self) -> float:
        """Score the rows that have waited longest; returns seconds of the models' time."""
        batch = [self._waiting.popleft() for _ in range(min(ROWS, len(self._waiting)))]
        try:
            if self._journal.stalled:
                _drop(batch, "log")
                return 0.0
            await self._fill(batch)
            started = time.perf_counter()
            score([each for each in batch if each.version.remote is None])
            await score_remotely([each for each in batch if each.version.remote is not None])
            took = time.perf_counter() - started
            self._write(batch)
        except Exception:
            log.exception("%d rows in shadow", len(batch))
            _drop(batch, "failed")
            return 0.0
        return took

    async def _fill(self, batch: Sequence[Trial]) -> None:
        empty = [each for each in batch if not each.filled]
        for each in empty:
            each.ask()
        asked = [each for each in empty if each.error is None and each.version.signature.lookups]
        if not asked:
            return
        started = time.perf_counter()
        stored = await self._stored.read([(each.version.signature, each.row) for each in asked])
        took = (time.perf_counter() - started) * 1000
        for each in asked:
            each.features_ms = took
        fill(asked, stored, self._stored.last_known)

    def _write(self, batch: Sequence[Trial]) -> None:
        kept: list[Trial] = []
        for each in batch:
            if each.error is not None and each.error.code in _BUDGET:
                _drop([each], "workers")
            else:
                kept.append(each)
        if not kept:
            return

        def settled(sent: int, error: ServicekitError | None) -> None:
            if error is not None:
                _drop(kept[:sent], "log")

        entries = [self._entry(each, number) for number, each in enumerate(kept, self.sequence)]
        sent = self._journal.write(batch_of(entries, self._clock.now()), settled)
        self.sequence += sent
        _drop(kept[sent:], "log")
        for version, group in grouped((each.version, each) for each in kept[:sent]).items():
            SHADOWED.labels(version.model, version.version).inc(len(group))

    def _entry(self, trial: Trial, number: int) -> Entry:
        answered, version, error = trial.answered, trial.version, trial.error
        route = answered.route
        of_arm = shared(
            route.model,
            version.version,
            "shadow",
            route.weight,
            route.salt,
            route.rollout_id,
        )
        logged = Logged(
            prediction_id=answered.prediction_id,
            entity=answered.entity,
            features=version.named(trial.row),
            score=trial.score,
            event_time=answered.event_time,
            latency=Latency(
                trial.features_ms, trial.inference_ms, trial.features_ms + trial.inference_ms
            ),
            error=None if error is None else f"{error.code}: {error.message}",
            replica=self.replica,
            sequence=number,
        )
        return entry(of_arm, logged, answered.traceparent, index=1)


def rest_after(took: float, load: float, least: float) -> float:
    """Seconds to leave the process alone after work that took so many.

    Args:
        took: seconds of work.
        load: largest share of the time that may be work, above 0.
        least: shortest rest.
    """
    return max(least, took / load - took)


def _drop(batch: Iterable[Trial], reason: str) -> None:
    for each in batch:
        SHADOW_DROPPED.labels(each.version.model, reason).inc()
