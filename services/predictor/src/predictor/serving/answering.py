"""Answers requests, all that came in one turn of the event loop together.

A batch reads the store once, runs each version once and sends its log records at once; there is no
timer, so a lone request never waits for company. While one batch waits for the store, the requests
that come meanwhile make up the next.
"""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

from predictor.domain.admission import Admission
from predictor.domain.errors import CannotAnswerError
from predictor.domain.fair_queue import FairQueue
from predictor.domain.routing import Arm
from predictor.domain.shares import is_logged
from predictor.ports import Journal
from predictor.serving.cache import Misses, PredictionCache
from predictor.serving.counting import observe_all
from predictor.serving.delivery import Delivery
from predictor.serving.metrics import BATCH_SIZE, IN_FLIGHT
from predictor.serving.prediction import Instance, OnDone, Prediction, new_id, split
from predictor.serving.routes.loaded import LoadedRoutes, LoadedVersion, named_arm
from predictor.serving.scoring import score, score_in_children
from predictor.serving.shadow import Shadow
from predictor.serving.stored import StoredFeatures
from predictor.workers.shared_metrics import observe
from servicekit.clock import Clock


class Answering:
    """Takes requests from the event loop, and routes them over what is loaded.

    `max_batch` is how many go into one run of a model.
    """

    def __init__(
        self,
        routes: Callable[[], LoadedRoutes],
        stored: StoredFeatures,
        journal: Journal,
        clock: Clock,
        admission: Admission,
        cache: PredictionCache,
        shadow: Shadow | None = None,
        *,
        max_batch: int,
    ) -> None:
        self._routes = routes
        self._stored = stored
        self._journal = journal
        self._clock = clock
        self._admission = admission
        self._cache = cache
        self._max_batch = max_batch
        self._delivery = Delivery(journal, clock, admission, shadow)
        self._queue = FairQueue[Prediction]()
        self._working = False
        """Whether a batch is scheduled, or reads the stores."""
        self._tasks: set[asyncio.Task[None]] = set()
        if shadow is not None:
            shadow.must_wait = lambda: self._working
        observe(IN_FLIGHT, lambda: admission.under_way)

    def serves(self, model: str) -> bool:
        """Whether a model has a route."""
        return model in self._routes().by_model

    def require_route(self, model: str) -> None:
        """Raise when a model has no route.

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

    def require_room(self, model: str, predictions: int) -> None:
        """Raise OverloadedError when so many more of a model may not be under way."""
        alone = len(self._routes().by_model) == 1
        self._admission.require_room(model, predictions, len(self._queue), alone)

    async def predict(
        self,
        model: str,
        instance: Instance,
        *,
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

        def on_done(prediction: Prediction) -> None:
            if not done.done():
                done.set_result(None)

        prediction = self.submit(
            model,
            instance,
            arrived=arrived,
            within=within,
            timed=timed,
            traceparent=traceparent,
            on_done=on_done,
            pinned=pinned,
        )
        try:
            await done
        finally:
            self._delivery.release(prediction)  # where the caller has gone
        if prediction.trouble is not None:
            raise prediction.trouble
        return prediction

    def submit(
        self,
        model: str,
        instance: Instance,
        *,
        arrived: float,
        within: float,
        timed: bool = False,
        traceparent: str | None,
        on_done: OnDone,
        pinned: Arm[LoadedVersion] | None = None,
        sampled: bool = True,
    ) -> Prediction:
        """Take one request into the next batch; on the event loop.

        Args:
            model: name of the model.
            instance: what is asked; without a time it is of now, without an id it gets a new one.
            arrived: `time.perf_counter()` when the request came.
            within: seconds from then on; later it is not computed any more.
            timed: whether `on_done` is called just then, whatever the prediction waits for.
            traceparent: W3C trace context.
            on_done: called once on the loop, later, when the prediction has an answer, which is
                then in the log, or `trouble`.
            pinned: the arm that the caller wants; None: that of the entity.
            sampled: whether the version's policy says which predictions are logged; else it is in
                any case.

        Raises:
            RefusalError: it is not taken, and `on_done` is not called.
        """
        self.require_room(model, 1)
        if self._journal.stalled:
            raise CannotAnswerError(
                "log_unavailable", "predictions cannot be logged at the moment: try again later"
            )
        route = self._routes().of(model)
        entity, features = instance.entity_id, instance.features
        arm = pinned or route.arm(entity)
        prediction_id = instance.prediction_id or new_id()
        rate = arm.version.sampling_rate if sampled else 1.0
        prediction = Prediction(
            route,
            arm,
            arm.version,
            prediction_id,
            entity,
            instance.event_time or self._clock.now(),
            arrived,
            arrived + within,
            traceparent,
            on_done,
            pinned is not None,
            rate,
            rate >= 1.0 or is_logged(prediction_id, rate),
        )
        self._admission.start(model)
        if timed:
            left = max(0.0, prediction.deadline - time.perf_counter())
            prediction.timer = asyncio.get_running_loop().call_later(
                left, self._delivery.expire, prediction
            )
        if route.shadow and pinned is None and arm is route.champion:
            prediction.sent = features
        prediction.read(features)
        self._queue.put(model, prediction)
        if not self._working:
            self._working = True
            asyncio.get_running_loop().call_soon(self._begin_batch)
        return prediction

    def _begin_batch(self) -> None:
        batch = self._delivery.drop_late(self._queue.take(self._max_batch))
        here, in_children, reads_stores = split(batch)
        if in_children:
            # They are answered when they are; nobody else waits for them.
            self._spawn(self._answer_with_children(in_children))
        if reads_stores:
            self._spawn(self._answer_with_stores(here))
        else:
            self._end_batch(here)
        if batch:  # once its answers have gone, if they need not wait
            observe_all(BATCH_SIZE, (len(batch),))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer_with_stores(self, batch: list[Prediction]) -> None:
        misses: Misses = ()
        try:
            await self._stored.fill_rows(batch)
            misses = await self._cache.look_up(batch)
            batch = self._delivery.drop_late(batch)
        except Exception as error:
            self._delivery.fail(batch, error)
            batch = []
        self._end_batch(batch)
        await self._cache.keep(misses)

    async def _answer_with_children(self, batch: list[Prediction]) -> None:
        """Answer a batch whose versions run in child processes, while the loop goes on."""
        try:
            await self._stored.fill_rows(batch)
            misses = await self._cache.look_up(batch)
            cached = [each for each in batch if each.cached]
            if cached:  # they wait for no model
                self._delivery.log_and_answer(cached)
                batch = [each for each in batch if not each.cached]
            batch = self._delivery.drop_late(batch)
            await score_in_children(batch)
            self._delivery.log_and_answer(batch)
            await self._cache.keep(misses)
        except Exception as error:
            self._delivery.fail(batch, error)

    def _end_batch(self, batch: list[Prediction]) -> None:
        try:
            score(batch)
            self._delivery.log_and_answer(batch)
        except Exception as error:
            self._delivery.fail(batch, error)
        finally:
            self._working = bool(self._queue)
            if self._working:
                asyncio.get_running_loop().call_soon(self._begin_batch)
