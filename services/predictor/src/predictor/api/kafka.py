"""Answers requests that come over Kafka, like any other: arms, features, limits, log.

The answer is the prediction's record in the log. A batch that comes again is answered again, under
the same ids, by which readers of the log know a prediction.
"""

import asyncio
import math
import threading
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial

from event_schemas import ScoreRequested
from predictor.api.intake import Call, Intake
from predictor.api.native.contract import Instance, InvalidRequestError
from predictor.domain.errors import BadRequestError, CannotAnswerError, RefusalError
from predictor.serving.routes.follow_rollout import LoadFailure
from servicekit.bus import Bus
from servicekit.errors import UnavailableError
from servicekit.event import Event
from servicekit.loops.backoff import Backoff
from servicekit.loops.sink import Received, SinkLoop


class KafkaScoring:
    """A sink whose store is the log of predictions; `write` runs on a thread of its own.

    Args:
        intake: checks requests, and has them answered on the event loop.
        failures: why models have no version that is loaded.
    """

    def __init__(self, intake: Intake, failures: Callable[[], Mapping[str, LoadFailure]]) -> None:
        self._intake = intake
        self._failures = failures
        self._loop: asyncio.AbstractEventLoop | None = None
        self._busy = threading.Lock()
        """Held while a batch is under way."""

    def join(self, loop: asyncio.AbstractEventLoop) -> None:
        """Answer on this event loop from now on."""
        self._loop = loop

    def leave(self, timeout: float) -> None:
        """Begin no more batches, and wait for the current one; blocks.

        Args:
            timeout: longest wait in seconds; what has no answer then comes again.
        """
        done = self._busy.acquire(timeout=timeout)
        self._loop = None
        if done:
            self._busy.release()

    def recover(self) -> Sequence[Event]:
        """Return nothing: what has no answer in the log was not committed, and comes again."""
        return ()

    def taken_over(self, partitions: Collection[tuple[str, int]]) -> None:
        """Forget nothing: no partition is remembered."""

    def write(self, batch: Sequence[Received]) -> Sequence[Event]:
        """Answer a batch; all of it is in the log when this returns.

        Raises:
            BadRequestError: a request can never be answered; none of the batch was.
            UnavailableError: something that is needed is missing for now.
        """
        with self._busy:
            if self._loop is None:
                raise UnavailableError("the predictor has not started, or stops")
            asked = [self._checked(each.event) for each in batch]
            asyncio.run_coroutine_threadsafe(self._answer(asked), self._loop).result()
        return ()

    def _checked(self, event: Event) -> tuple[Call, Instance]:
        """What an event asks, within the limits, of a model that can answer now."""
        body = event.body
        if not isinstance(body, ScoreRequested):
            raise InvalidRequestError(
                f"{body.type} has no place in this topic: send {ScoreRequested.type}"
            )
        instance = Instance(body.entity, body.features, body.event_time, body.prediction_id)
        self._intake.check(instance)
        self._require_route(body.model)
        return Call((), body.model, traceparent=event.traceparent), instance

    def _require_route(self, model: str) -> None:
        try:
            self._intake.answering.require_route(model)
        except CannotAnswerError as error:
            failure = self._failures().get(model)
            if failure is not None and not failure.will_retry:
                # It would keep the requests behind it waiting until there is another version.
                raise BadRequestError(
                    "not_loaded",
                    f"no version of {model} can be loaded: {failure.message}; send the"
                    " request again once there is another",
                    "model",
                ) from error
            raise UnavailableError(error.message) from error

    async def _answer(self, batch: Sequence[tuple[Call, Instance]]) -> None:
        """Answer requests in one batch of the event loop.

        Raises:
            UnavailableError: some have no answer that is in the log.
        """
        answering = self._intake.answering
        try:
            for model, count in Counter(call.model for call, _ in batch).items():
                answering.require_room(model, count)
        except CannotAnswerError as error:
            raise UnavailableError(error.message) from error
        questions = [
            partial(
                answering.submit,
                call.model,
                instance,
                arrived=call.arrived,
                within=math.inf,
                traceparent=call.traceparent,
                sampled=False,  # its record is its answer
            )
            for call, instance in batch
        ]
        for each in await answering.answer_all(questions):
            if isinstance(each, CannotAnswerError):
                raise UnavailableError(each.message) from each
            if isinstance(each, RefusalError):
                raise each
            if each.failure is not None:
                raise UnavailableError(
                    f"predictions are not in the log: {each.failure}"
                ) from each.failure


class KafkaScoringLoop:
    """Reads `score.requested`, as one of the group of all predictors.

    Args:
        sink: answers.
        bus: brings requests, and takes dead letters.
        max_batch: most requests under way at once.
        member: which of the group this is, see `Bus.group`.
        begin: whether to join the group yet, which gives requests to whoever is there.
    """

    name = "score-requested"
    ready = True
    """Callers over HTTP do not wait for those over Kafka."""

    def __init__(
        self,
        sink: KafkaScoring,
        bus: Bus,
        max_batch: int,
        member: str | None,
        begin: Callable[[], bool],
    ) -> None:
        self._begin = begin
        self.loop = SinkLoop(
            "predictor",
            sink,
            bus,
            topics=[ScoreRequested.topic()],
            member=member,
            max_batch=max_batch,
            # A model is on its way, or others make room: that takes no longer than this.
            backoff=Backoff(cap=1.0),
        )

    def run(self, stop: threading.Event) -> None:
        """See `Component.run`."""
        while not self._begin():
            if stop.wait(0.05):
                return
        self.loop.run(stop)
