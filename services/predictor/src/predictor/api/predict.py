"""`POST /predict`, and `POST /v1/models/{model}/predict` for one entity or for many."""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass

from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from predictor.api.contract import (
    FailedInstance,
    Instance,
    ManyAnswer,
    ManyRequest,
    PredictAnswer,
    PredictRequest,
    check,
    decode_model_request,
    decode_request,
)
from predictor.api.endpoint import Call, Endpoint, error_detail
from predictor.api.override import Override
from predictor.domain.answer import confidence, predicted_class
from predictor.domain.deadlines import Timeouts
from predictor.domain.errors import BadRequestError, RefusalError
from predictor.domain.routing import Arm
from predictor.handlers.answering import Answering, Prediction
from predictor.handlers.loaded import LoadedVersion
from servicekit.clock import Clock
from servicekit.telemetry.tracing import TraceRequests, current_traceparent

PREDICT = "/predict"
PREDICT_MODEL = "/v1/models/{model}/predict"


class Shortcut:
    """Takes `POST` to some routes past the application, its middleware and its router.

    They take half of a request's time, and do nothing for these endpoints, which turn every
    exception into an answer by themselves. What traces requests comes along.
    """

    def __init__(self, app: ASGIApp, routes: Iterable[Route]) -> None:
        self._app = app
        self._routes = [(route, TraceRequests(route.endpoint)) for route in routes]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["method"] == "POST":
            for route, endpoint in self._routes:
                match, found = route.matches(scope)
                if match is Match.FULL:
                    scope.update(found, route=route)  # the route names the span
                    await endpoint(scope, receive, send)
                    return
        await self._app(scope, receive, send)


@dataclass(frozen=True)
class Limits:
    """Of what is asked; see `PredictorSettings`."""

    body_bytes: int
    entity_characters: int
    event_time_ahead_seconds: float
    instances: int
    retry_after_seconds: int
    timeouts: Timeouts


class _Predictions(Endpoint):
    """What both endpoints need to answer an instance."""

    def __init__(
        self, answering: Answering, clock: Clock, limits: Limits, override: Override
    ) -> None:
        super().__init__(max_body_bytes=limits.body_bytes, retry_after=limits.retry_after_seconds)
        self._answering = answering
        self._clock = clock
        self._limits = limits
        self._override = override

    def serves(self, model: str) -> bool:
        """See `Endpoint.serves`."""
        return self._answering.serves(model)

    def check(self, instance: Instance) -> None:
        """Hold an instance against the limits."""
        limits = self._limits
        now = self._clock.now()
        check(instance, now, limits.event_time_ahead_seconds, limits.entity_characters)

    def pinned(self, model: str, scope: Scope) -> Arm[LoadedVersion] | None:
        """The arm that the caller chooses; None: that of the entity.

        Raises:
            RefusalError: it may not, or there is none.
        """
        wanted = self._override.wanted(scope["headers"])
        return None if wanted is None else self._answering.arm(model, wanted)

    async def predict(
        self, model: str, instance: Instance, call: Call, pinned: Arm[LoadedVersion] | None
    ) -> PredictAnswer:
        """Answer a checked instance."""
        prediction = await self._answering.predict(
            model=model,
            entity=instance.entity_id,
            features=instance.features,
            event_time=instance.event_time,
            prediction_id=instance.prediction_id,
            arrived=call.arrived,
            within=self._limits.timeouts.of(call.seconds),
            timed=call.seconds is not None,
            traceparent=current_traceparent(),
            pinned=pinned,
        )
        return _answer(prediction)


class Predict(_Predictions):
    """`POST /predict`: the model is in the body."""

    async def reply(self, scope: Scope, body: bytes, call: Call) -> PredictAnswer:
        """See `Endpoint.reply`."""
        request: PredictRequest = decode_request(body)
        call.model = request.model
        self.check(request)
        pinned = self.pinned(request.model, scope)
        return await self.predict(request.model, request, call, pinned)


class PredictModel(_Predictions):
    """`POST /v1/models/{model}/predict`: one instance, or some under `instances`."""

    async def reply(self, scope: Scope, body: bytes, call: Call) -> PredictAnswer | ManyAnswer:
        """See `Endpoint.reply`."""
        model = call.model = scope["path_params"]["model"]
        self._answering.known(model)
        pinned = self.pinned(model, scope)
        request = decode_model_request(body)
        if isinstance(request, ManyRequest):
            return await self._many(model, request, call, pinned)
        self.check(request)
        return await self.predict(model, request, call, pinned)

    async def _many(
        self, model: str, request: ManyRequest, call: Call, pinned: Arm[LoadedVersion] | None
    ) -> ManyAnswer:
        if not 1 <= len(request.instances) <= self._limits.instances:
            raise BadRequestError(
                "invalid_request",
                f"instances has {len(request.instances)} items: send 1 to {self._limits.instances}",
                "instances",
            )
        for i, instance in enumerate(request.instances):
            try:
                self.check(instance)
            except BadRequestError as error:
                raise BadRequestError(
                    error.code, f"instances[{i}]: {error.message}", f"instances[{i}].{error.field}"
                ) from None
        self._answering.make_room(model, len(request.instances))
        # They start in one turn of the event loop, so they share one batch.
        answers = await asyncio.gather(
            *(self._one(model, instance, call, pinned) for instance in request.instances)
        )
        return ManyAnswer(answers)

    async def _one(
        self, model: str, instance: Instance, call: Call, pinned: Arm[LoadedVersion] | None
    ) -> PredictAnswer | FailedInstance:
        try:
            return await self.predict(model, instance, call, pinned)
        except RefusalError as refusal:
            self.count(call, refusal.code)
            return FailedInstance(error_detail(refusal))


def _answer(prediction: Prediction) -> PredictAnswer:
    score = prediction.score or 0.0
    return PredictAnswer(
        prediction.prediction_id,
        prediction.version.model,
        prediction.version.version,
        prediction.arm.name,
        predicted_class(score),
        score,
        confidence(score),
        round((time.perf_counter() - prediction.arrived) * 1000, 3),
    )
