"""Answers requests, all that came in one turn of the event loop together.

A batch reads the store once, runs each version once and sends its log records at once; there is no
timer, so a lone request never waits for company. While one batch waits for the store, the requests
that come meanwhile make up the next.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from predictor.domain.admission import Admission
from predictor.domain.errors import CannotAnswerError, RefusalError
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

    async def answer_all(
        self, questions: Sequence[Callable[[OnDone], Prediction]]
    ) -> list[Prediction | RefusalError]:
        """Answer questions that share a batch; each is a `submit` that lacks its `on_done`.

        Returns:
            what came of each: its prediction, which may have `trouble`, or why it was not taken.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        left = 0

        def on_done(prediction: Prediction) -> None:
            nonlocal left
            left -= 1
            if not left and not done.done():
                done.set_result(None)

        found: list[Prediction | RefusalError] = []
        try:
            for ask in questions:
                try:
                    found.append(ask(on_done))
                    left += 1
                except RefusalError as refusal:
                    found.append(refusal)
            if left:
                await done
        finally:
            for each in found:
                if isinstance(each, Prediction):  # where the caller has gone
                    self._delivery.release(each)
        return found

    def submit(
        self,
        model: str,
        instance: Instance,
        on_done: OnDone,
        *,
        arrived: float,
        within: float,
        timed: bool = False,
        traceparent: str | None,
        pinned: Arm[LoadedVersion] | None = None,
        sampled: bool = True,
    ) -> Prediction:
        """Take one request into the next batch; on the event loop.

        Args:
            model: its name.
            instance: one without a time is of now, one without an id gets a new one.
            on_done: called once on the loop, later, when the prediction has an answer, which is
                then in the log, or `trouble`.
            arrived: `time.perf_counter()` when the request came.
            within: seconds from then on; later it is not computed any more.
            timed: whether `on_done` is called just then, whatever the prediction waits for.
            traceparent: W3C trace context.
            pinned: the arm that the caller wants; None: that of the entity.
            sampled: whether the version's policy says which predictions are logged; else it is in
                any case.

        Raises:
            RefusalError: it is not taken, and `on_done` is not called.
        """
        self.require_room(model, 1)
        self._require_log()
        route = self._routes().of(model)
        arm = pinned or route.arm(instance.entity_id)
        prediction_id = instance.prediction_id or new_id()
        rate = arm.version.sampling_rate if sampled else 1.0
        prediction = Prediction(
            route,
            arm,
            arm.version,
            prediction_id,
            instance.entity_id,
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
            self._delivery.expire_in_time(prediction)
        if route.shadow and pinned is None and arm is route.champion:
            prediction.sent = instance.features
        prediction.read(instance.features)
        self._put(prediction)
        return prediction

    def _require_log(self) -> None:
        """Raise CannotAnswerError while predictions cannot be logged."""
        if self._journal.stalled:
            raise CannotAnswerError(
                "log_unavailable", "predictions cannot be logged at the moment: try again later"
            )

    def _put(self, prediction: Prediction) -> None:
        """Queue a prediction for the next batch."""
        self._queue.put(prediction.route.model, prediction)
        if not self._working:
            self._working = True
            asyncio.get_running_loop().call_soon(self._begin_batch)

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
