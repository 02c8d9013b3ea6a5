"""Answers requests, all that came in one turn of the event loop together.

A batch reads the store once, runs each version once and sends its log records at once; there is no
timer, so a lone request never waits for company. While one batch waits for the store, the requests
that come meanwhile make up the next.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import uuid4

from prometheus_client import Counter, Histogram

from predictor.domain.answer import confidence
from predictor.domain.batching import grouped
from predictor.domain.deadlines import too_late
from predictor.domain.errors import CannotAnswerError, RefusalError
from predictor.domain.fair_queue import FairQueue
from predictor.domain.features import Stored, Value
from predictor.domain.last_known import LastKnown
from predictor.domain.routing import Arm
from predictor.ports import Journal
from predictor.serving.admission import Admission
from predictor.serving.bulk import observe_all
from predictor.serving.cache import Misses, PredictionCache
from predictor.serving.deadlines import awaited
from predictor.serving.ids import new_id
from predictor.serving.metrics import (
    BATCH_SIZE,
    CONFIDENCE,
    FEATURE_AGE,
    GAPS,
    IN_FLIGHT,
    LATENCY,
    PREDICTIONS,
    UNLOGGED,
)
from predictor.serving.record import Entry, Latency, Logged, batch_of, entry, shared
from predictor.serving.routes.loaded import LoadedRoute, LoadedRoutes, LoadedVersion, named_arm
from predictor.serving.sampling import count_unsampled, sampled
from predictor.serving.scoring import fill, score, score_remotely
from predictor.serving.shadow import Shadow
from predictor.serving.stored import StoredFeatures
from servicekit.clock import Clock
from servicekit.errors import ServicekitError
from servicekit.telemetry.multiprocess import observe
from servicekit.telemetry.tracing import exporting

log = logging.getLogger(__name__)


class Prediction:
    """One request on its way to an answer."""

    __slots__ = (
        "arm",
        "arrived",
        "cached",
        "deadline",
        "entity",
        "error",
        "event_time",
        "failure",
        "features_ms",
        "inference_ms",
        "pinned",
        "prediction_id",
        "route",
        "row",
        "sampling_rate",
        "score",
        "sent",
        "timer",
        "told",
        "traceparent",
        "version",
    )

    def __init__(
        self,
        route: LoadedRoute,
        arm: Arm[LoadedVersion],
        prediction_id: str,
        entity: str,
        event_time: datetime,
        arrived: float,
        deadline: float,
        traceparent: str | None,
        pinned: bool,
        sampled: bool,
        told: "Callable[[Prediction], None]",
    ) -> None:
        self.route = route
        self.arm = arm
        self.version = arm.version
        self.prediction_id = prediction_id
        self.entity = entity
        self.event_time = event_time
        self.arrived = arrived
        self.deadline = deadline
        """`time.perf_counter()` from which on it is not worth computing."""
        self.traceparent = traceparent
        self.pinned = pinned
        self.sampling_rate = arm.version.sampling_rate if sampled else 1.0
        """Share of its like that is logged."""
        self.told: Callable[[Prediction], None] | None = told
        """Hears of its end, once; None from then on."""
        self.timer: asyncio.TimerHandle | None = None
        """Rings at the deadline, where somebody wants to hear of it just then."""
        self.row: list[Value] = []
        self.sent: Mapping[str, Any] | None = None
        """What the caller sent, where a challenger in shadow is to see it as well."""
        self.score: float | None = None
        self.cached = False
        """Whether the score came from the prediction cache."""
        self.error: RefusalError | None = None
        """Why it has no score; it is in the log."""
        self.failure: Exception | None = None
        """Why it is not given, whatever its score is."""
        self.features_ms = 0.0
        self.inference_ms = 0.0

    @property
    def gone(self) -> bool:
        """Whether nobody waits for it any more."""
        return self.told is None

    @property
    def trouble(self) -> Exception | None:
        """Why it has no answer; None when it has one."""
        return self.failure or self.error


class Answering:
    """Takes requests from the event loop, and routes them over what is loaded."""

    def __init__(
        self,
        routes: Callable[[], LoadedRoutes],
        stored: StoredFeatures,
        journal: Journal,
        clock: Clock,
        admission: Admission,
        *,
        max_batch: int,
        shadow: Shadow | None = None,
        cache: PredictionCache | None = None,
    ) -> None:
        """Ready for requests.

        Args:
            routes: gives the routes in force.
            stored: the feature store.
            journal: takes the log records.
            clock: wall time.
            admission: turns away what is too much.
            max_batch: requests in one run of a model.
            shadow: takes what was answered, for challengers in shadow.
            cache: gives scores again, for versions that allow it.
        """
        self._routes = routes
        self._stored = stored
        self._journal = journal
        self._clock = clock
        self._admission = admission
        self._max_batch = max_batch
        self._shadow = shadow
        self._cache = cache
        self._waiting = FairQueue[Prediction]()
        self._turning = False
        """Whether a batch is scheduled, or reads the stores."""
        self._tasks: set[asyncio.Task[None]] = set()
        self.replica = str(uuid4())
        """Names this process in the log."""
        self.sequence = 0
        """Number of the next log record; a record that was not sent gives its number back."""
        observe(IN_FLIGHT, lambda: admission.under_way)

    @property
    def busy(self) -> bool:
        """Whether a batch waits for its turn, or for the store."""
        return self._turning

    def serves(self, model: str) -> bool:
        """Whether a model has a route."""
        return model in self._routes().by_model

    def known(self, model: str) -> None:
        """Nothing for a model that has a route.

        Raises:
            CannotAnswerError: no model is loaded at all.
            UnknownModelError: others are, this one is not.
        """
        self._routes().of(model)

    def arm(self, model: str, name: str) -> Arm[LoadedVersion]:
        """The arm of a model with a name: `champion`, `challenger`, or a version.

        Raises:
            CannotAnswerError: no model is loaded at all.
            UnknownModelError: the model is not loaded, or has no such arm.
        """
        return named_arm(self._routes().of(model), name)

    def make_room(self, model: str, predictions: int) -> None:
        """Nothing where so many more of a model may be under way.

        Raises:
            OverloadedError: they may not.
        """
        alone = len(self._routes().by_model) == 1
        self._admission.check(model, predictions, len(self._waiting), alone)

    async def predict(
        self,
        *,
        model: str,
        entity: str,
        features: Mapping[str, Any],
        event_time: datetime | None,
        prediction_id: str | None,
        arrived: float,
        within: float,
        timed: bool = False,
        traceparent: str | None,
        pinned: Arm[LoadedVersion] | None = None,
    ) -> Prediction:
        """Answer one request; it is in the log when this returns, or raises after it was routed.

        Args: see `submit`.

        Raises:
            RefusalError: there is no answer.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def told(prediction: Prediction) -> None:
            if not done.done():
                done.set_result(None)

        prediction = self.submit(
            model=model,
            entity=entity,
            features=features,
            event_time=event_time,
            prediction_id=prediction_id,
            arrived=arrived,
            within=within,
            timed=timed,
            traceparent=traceparent,
            pinned=pinned,
            told=told,
        )
        try:
            await done
        finally:
            self._leave(prediction)  # where the caller has gone
        if prediction.trouble is not None:
            raise prediction.trouble
        return prediction

    def submit(
        self,
        *,
        model: str,
        entity: str,
        features: Mapping[str, Any],
        event_time: datetime | None,
        prediction_id: str | None,
        arrived: float,
        within: float,
        timed: bool = False,
        traceparent: str | None,
        told: Callable[[Prediction], None],
        pinned: Arm[LoadedVersion] | None = None,
        sampled: bool = True,
    ) -> Prediction:
        """Take one request into the next batch; on the event loop.

        Args:
            model: name of the model.
            entity: chooses the arm.
            features: what the caller sent.
            event_time: default: now.
            prediction_id: default: a new one.
            arrived: `time.perf_counter()` when the request came.
            within: seconds from then on; later it is not computed any more.
            timed: whether the caller is told just then, whatever it waits for.
            traceparent: W3C trace context.
            told: called once on the loop, later, when the prediction has an answer, which is then
                in the log, or `trouble`.
            pinned: the arm that the caller wants; None: that of the entity.
            sampled: whether the version's policy says which predictions are logged; else it is in
                any case.

        Raises:
            RefusalError: it is not taken, and `told` is not called.
        """
        self.make_room(model, 1)
        if self._journal.stalled:
            raise CannotAnswerError(
                "log_unavailable", "predictions cannot be logged at the moment: try again later"
            )
        route = self._routes().of(model)
        arm = pinned or route.arm(entity)
        prediction = Prediction(
            route,
            arm,
            prediction_id or new_id(),
            entity,
            event_time or self._clock.now(),
            arrived,
            arrived + within,
            traceparent,
            pinned is not None,
            sampled,
            told,
        )
        self._admission.entered(model)
        if timed:
            prediction.timer = asyncio.get_running_loop().call_later(
                max(0.0, prediction.deadline - time.perf_counter()), self._expire, prediction
            )
        self._take(prediction, features)
        return prediction

    def _take(self, prediction: Prediction, features: Mapping[str, Any]) -> None:
        route, version = prediction.route, prediction.version
        if route.shadow:
            prediction.sent = features
        try:
            prediction.row = version.signature.request_values(features, route.requested)
        except RefusalError as refusal:
            # The version was chosen, so the log hears of it: it may be the challenger that asks for
            # what no caller sends.
            prediction.error = refusal
        self._waiting.put(route.model, prediction)
        if not self._turning:
            self._turning = True
            asyncio.get_running_loop().call_soon(self._turn)

    def _turn(self) -> None:
        batch = self._in_time(self._waiting.take(self._max_batch))
        here: list[Prediction] = []
        elsewhere: list[Prediction] = []
        asks = False
        for each in batch:
            remote = each.error is None and each.version.remote is not None
            (elsewhere if remote else here).append(each)
            asks |= each.error is None and not remote and each.version.asks
        if elsewhere:
            # They are answered when they are; nobody else waits for them.
            self._spawn(self._with_remote(elsewhere))
        if asks:
            self._spawn(self._with_stores(here))
        else:
            self._finish(here)
        if batch:  # once its answers have gone, if they need not wait
            observe_all(BATCH_SIZE, (len(batch),))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _with_stores(self, batch: list[Prediction]) -> None:
        misses: Misses = ()
        try:
            _fill(batch, await self._read(batch), self._stored.last_known)
            if self._cache is not None:
                misses = await self._cache.look_up(batch)
            batch = self._in_time(batch)
        except Exception as error:
            self._fail(batch, error)
            batch = []
        self._finish(batch)
        if self._cache is not None:
            await self._cache.keep(misses)

    async def _with_remote(self, batch: list[Prediction]) -> None:
        """Answer a batch whose versions run elsewhere, while the loop goes on."""
        try:
            misses: Misses = ()
            _fill(batch, await self._read(batch), self._stored.last_known)
            if self._cache is not None:
                misses = await self._cache.look_up(batch)
                self._write([p for p in batch if p.cached])  # which wait for no model
                batch = [p for p in batch if not p.cached]
            batch = self._in_time(batch)
            await score_remotely(batch)
            self._write(batch)
            if self._cache is not None:
                await self._cache.keep(misses)
        except Exception as error:
            self._fail(batch, error)

    async def _read(self, batch: Sequence[Prediction]) -> Stored | None:
        started = time.perf_counter()
        stored: Stored | None = None
        try:
            stored = await self._stored.read(
                [(p.version.signature, p.row) for p in batch if p.error is None]
            )
        except Exception:
            log.exception("reading the feature store")
        if stored:
            _note_age(stored, batch[0].event_time)
        took = (time.perf_counter() - started) * 1000
        for prediction in batch:
            prediction.features_ms = took
        return stored

    def _finish(self, batch: Sequence[Prediction]) -> None:
        try:
            score(batch)
            self._write(batch)
        except Exception as error:
            self._fail(batch, error)
        finally:
            self._turning = bool(self._waiting)
            if self._waiting:
                asyncio.get_running_loop().call_soon(self._turn)

    def _write(self, batch: Sequence[Prediction]) -> None:
        # A number of the sequence is for what is logged: a hole in it is a loss.
        batch, unlogged = sampled(batch)
        if unlogged:
            self._settle(unlogged, None)
            self._admission.settled(len(unlogged))
            count_unsampled(unlogged)
        if not batch:
            return

        def settled(sent: int, error: ServicekitError | None) -> None:
            if error is not None:
                UNLOGGED.inc(sent)
            failure = error and CannotAnswerError("log_unavailable", str(error))
            self._settle(batch[:sent], failure)
            self._admission.settled(sent)
            if self._shadow is not None:
                self._shadow.offer(batch[:sent])

        entries = self._entries(batch)
        sent = self._journal.write(batch_of(entries, self._clock.now()), settled)
        if sent < len(batch):
            self.sequence -= len(batch) - sent
            UNLOGGED.inc(len(batch) - sent)
            full = CannotAnswerError(
                "log_full", "too many predictions wait to be logged: try again in a moment"
            )
            self._settle(batch[sent:], full)

    def _in_time(self, batch: list[Prediction]) -> list[Prediction]:
        """The predictions that are still waited for; the others hear that it is too late."""
        worth, late = awaited(batch, time.perf_counter())
        for each in late:
            self._settle((each,), too_late(each.deadline - each.arrived))
        return worth

    def _expire(self, prediction: Prediction) -> None:
        """Its deadline has come, and somebody wants to hear of it at once."""
        self._settle((prediction,), too_late(prediction.deadline - prediction.arrived))

    def _settle(self, batch: Sequence[Prediction], failure: Exception | None) -> None:
        """Tell of predictions that have come to their end; what nobody waits for stays untold."""
        answered: list[Prediction] = []
        for prediction in batch:
            told = self._leave(prediction)
            if told is None:
                continue
            prediction.failure = failure
            try:
                told(prediction)
            except Exception:  # nobody else's answer is to suffer
                log.exception("telling of prediction %s", prediction.prediction_id)
            if prediction.trouble is None:
                answered.append(prediction)
        _count(answered)

    def _leave(self, prediction: Prediction) -> Callable[[Prediction], None] | None:
        """Wait for a prediction no longer; returns who did until now."""
        told, prediction.told = prediction.told, None
        if told is not None:
            self._admission.left(prediction.route.model)
            if prediction.timer is not None:
                prediction.timer.cancel()
        return told

    def _fail(self, batch: Sequence[Prediction], error: Exception) -> None:
        log.exception("a batch of %d failed", len(batch))
        self._settle(batch, error)

    def _entries(self, batch: Sequence[Prediction]) -> list[Entry]:
        now = time.perf_counter()
        entries = []
        for sequence, prediction in enumerate(batch, self.sequence):
            route, arm, error = prediction.route, prediction.arm, prediction.error
            version = prediction.version
            of_arm = shared(
                route.model,
                version.version,
                arm.name,
                route.weight,
                route.salt,
                route.rollout_id,
            )
            logged = Logged(
                prediction_id=prediction.prediction_id,
                entity=prediction.entity,
                features=version.named(prediction.row),
                score=prediction.score,
                event_time=prediction.event_time,
                latency=Latency(
                    prediction.features_ms,
                    prediction.inference_ms,
                    (now - prediction.arrived) * 1000,
                ),
                error=None if error is None else f"{error.code}: {error.message}",
                replica=self.replica,
                sequence=sequence,
                pinned=prediction.pinned,
                sampling_rate=prediction.sampling_rate,
                cache_hit=prediction.cached,
            )
            entries.append(entry(of_arm, logged, prediction.traceparent))
        self.sequence += len(batch)
        return entries


def _fill(batch: Sequence[Prediction], stored: Stored | None, last_known: LastKnown) -> None:
    for model, gap in fill(batch, stored, last_known):
        GAPS.labels(model, *gap).inc()


def _note_age(stored: Stored, event_time: datetime) -> None:
    """How old the first stored row was: one a batch, since each would cost every request."""
    cell = next(iter(next(iter(stored.values())).values()), None)
    if cell is not None:
        _, written_at = cell
        FEATURE_AGE.observe(max(0.0, event_time.timestamp() - written_at))


@lru_cache(maxsize=256)
def _meters(model: str, version: str, arm: str) -> tuple[Counter, Histogram, Histogram]:
    """The metrics of an arm: finding them by their labels costs more than counting."""
    return (
        PREDICTIONS.labels(model, version, arm),
        CONFIDENCE.labels(model, version),
        LATENCY.labels(model),
    )


def _count(answered: Iterable[Prediction]) -> None:
    """Count answers; those of an arm together, since one after the other would cost each request.

    All take the time at which the last of them was sent.
    """
    now = time.perf_counter()
    traced = exporting()
    groups = grouped(((p.version.model, p.version.version, p.arm.name), p) for p in answered)
    for labels, group in groups.items():
        predictions, confidences, latency = _meters(*labels)
        predictions.inc(len(group))
        observe_all(confidences, [confidence(p.score or 0.0) for p in group])
        observe_all(latency, [now - p.arrived for p in group if not (traced and p.traceparent)])
        if not traced:
            continue
        for prediction in group:
            if (trace := prediction.traceparent) is not None:
                # 00-<32 digits of the trace>-<16 of the span>-<flags>
                latency.observe(now - prediction.arrived, {"trace_id": trace[3:35]})
