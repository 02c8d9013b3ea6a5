"""`POST /predict`, and `POST /v1/models/{model}/predict` for one entity or for many."""

import asyncio
import re
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from predictor.api.direct import Direct, Exchange, Take
from predictor.api.headers import Override
from predictor.api.native.contract import (
    FailedInstance,
    Instance,
    ManyAnswer,
    ManyRequest,
    PredictAnswer,
    check,
    decode_model_request,
    decode_request,
    encode,
)
from predictor.api.native.endpoint import JSON, Call, Endpoint, error_detail
from predictor.api.timeouts import asked_seconds
from predictor.domain.answer import confidence, predicted_class
from predictor.domain.deadlines import Timeouts
from predictor.domain.errors import BadRequestError, OverloadedError, RefusalError
from predictor.domain.routing import Arm
from predictor.serving.answering import Answering
from predictor.serving.prediction import Prediction
from predictor.serving.refusal_limiter import RefusalLimiter
from predictor.serving.routes.loaded import LoadedVersion
from servicekit.clock import Clock
from servicekit.telemetry.tracing import TraceRequests

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
    refusals: RefusalLimiter


Reply = Callable[[PredictAnswer | ManyAnswer | Exception], None]
"""Takes an answer, or why there is none."""


class _Predictions(Endpoint):
    """What both endpoints need to answer an instance, through ASGI or past it."""

    def __init__(
        self, answering: Answering, clock: Clock, limits: Limits, override: Override
    ) -> None:
        super().__init__(
            max_body_bytes=limits.body_bytes,
            retry_after=limits.retry_after_seconds,
            refusals=limits.refusals,
        )
        self._answering = answering
        self._clock = clock
        self._limits = limits
        self._override = override

    def serves(self, model: str) -> bool:
        """See `Endpoint.serves`."""
        return self._answering.serves(model)

    @abstractmethod
    def begin(self, body: bytes, call: Call, reply: Reply) -> None:
        """Read a request, and see to it that it is replied to; once, now or later.

        Raises:
            RefusalError: it is refused; there is no reply then.
        """

    async def reply(self, scope: Scope, body: bytes, call: Call) -> PredictAnswer | ManyAnswer:
        """See `Endpoint.reply`."""
        call.model = scope["path_params"].get("model")
        answer: asyncio.Future[PredictAnswer | ManyAnswer] = (
            asyncio.get_running_loop().create_future()
        )
        self.begin(body, call, partial(_tell, answer))
        return await answer

    def take(self, exchange: Exchange, model: str | None = None) -> None:
        """Answer a request that came past ASGI.

        Args:
            exchange: the request.
            model: that its path names.
        """
        call = Call(exchange.headers)
        call.model = model

        def reply(answer: PredictAnswer | ManyAnswer | Exception) -> None:
            if isinstance(answer, OverloadedError):
                self.refusals.send(partial(exchange.answer, *self.failed(call, answer)))
            elif isinstance(answer, Exception):
                exchange.answer(*self.failed(call, answer))
            else:
                exchange.answer(200, JSON, encode(answer))

        try:
            call.seconds = asked_seconds(call.headers)
            self.begin(exchange.body, call, reply)
        except Exception as error:
            reply(error)

    def check(self, instance: Instance) -> None:
        """Hold an instance against the limits; one that names no time is of now."""
        limits = self._limits
        now = self._clock.now()
        check(instance, now, limits.event_time_ahead_seconds, limits.entity_characters)
        if instance.event_time is None:
            instance.event_time = now

    def pinned(self, model: str, call: Call) -> Arm[LoadedVersion] | None:
        """The arm that the caller chooses; None: that of the entity.

        Raises:
            RefusalError: it may not, or there is none.
        """
        wanted = self._override.wanted(call.headers)
        return None if wanted is None else self._answering.arm(model, wanted)

    def ask(
        self,
        model: str,
        instance: Instance,
        call: Call,
        pinned: Arm[LoadedVersion] | None,
        told: Callable[[Prediction], None],
    ) -> None:
        """Have a checked instance answered.

        Raises:
            RefusalError: it is not taken; nobody is told then.
        """
        self._answering.submit(
            model,
            instance,
            arrived=call.arrived,
            within=self._limits.timeouts.of(call.seconds),
            timed=call.seconds is not None,
            traceparent=call.traceparent,
            pinned=pinned,
            on_done=told,
        )


class Predict(_Predictions):
    """`POST /predict`: the model is in the body."""

    def begin(self, body: bytes, call: Call, reply: Reply) -> None:
        """See `_Predictions.begin`."""
        request = decode_request(body)
        call.model = request.model
        self.check(request)
        pinned = self.pinned(request.model, call)
        self.ask(request.model, request, call, pinned, lambda told: reply(_answer(told)))


class PredictModel(_Predictions):
    """`POST /v1/models/{model}/predict`: one instance, or some under `instances`."""

    def begin(self, body: bytes, call: Call, reply: Reply) -> None:
        """See `_Predictions.begin`."""
        model = call.model or ""
        self._answering.require_route(model)
        pinned = self.pinned(model, call)
        request = decode_model_request(body)
        if isinstance(request, ManyRequest):
            self._check_all(model, request)
            _Many(self, model, request.instances, call, pinned, reply).begin()
            return
        self.check(request)
        self.ask(model, request, call, pinned, lambda told: reply(_answer(told)))

    def _check_all(self, model: str, request: ManyRequest) -> None:
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
        self._answering.require_room(model, len(request.instances))


class _Many:
    """The instances of one request; they start in one turn, so they share one batch."""

    def __init__(
        self,
        endpoint: _Predictions,
        model: str,
        instances: Sequence[Instance],
        call: Call,
        pinned: Arm[LoadedVersion] | None,
        reply: Reply,
    ) -> None:
        self._endpoint = endpoint
        self._model = model
        self._instances = instances
        self._call = call
        self._pinned = pinned
        self._reply = reply
        self._left = len(instances)
        self._answers: list[PredictAnswer | FailedInstance | None] = [None] * len(instances)
        self._failed: Exception | None = None

    def begin(self) -> None:
        """Ask for each; the last answer is the reply."""
        for i, instance in enumerate(self._instances):
            try:
                told = partial(self._told, i)
                self._endpoint.ask(self._model, instance, self._call, self._pinned, told)
            except RefusalError as refusal:
                self._take(i, refusal)

    def _told(self, i: int, prediction: Prediction) -> None:
        self._take(i, _answer(prediction))

    def _take(self, i: int, answer: PredictAnswer | Exception) -> None:
        if isinstance(answer, RefusalError):
            self._endpoint.count(self._call, answer.code)
            self._answers[i] = FailedInstance(error_detail(answer))
        elif isinstance(answer, Exception):
            self._failed = answer
        else:
            self._answers[i] = answer
        self._left -= 1
        if not self._left:
            self._reply(self._failed or ManyAnswer(self._answers))


def direct(predict: Predict, predict_model: PredictModel) -> Direct:
    """Both endpoints past ASGI; paths with anything that is encoded take the long way."""

    def find(target: bytes) -> Take | None:
        if target == _PREDICT:
            return predict.take
        if found := _PREDICT_MODEL.fullmatch(target):
            return partial(predict_model.take, model=found[1].decode())
        return None

    return Direct(find, predict.max_body)


_PREDICT = PREDICT.encode()
_PREDICT_MODEL = re.compile(rb"/v1/models/([A-Za-z0-9_.-]+)/predict")


def _tell(
    future: "asyncio.Future[PredictAnswer | ManyAnswer]",
    answer: PredictAnswer | ManyAnswer | Exception,
) -> None:
    if future.done():  # the caller has gone
        return
    if isinstance(answer, Exception):
        future.set_exception(answer)
    else:
        future.set_result(answer)


def _answer(prediction: Prediction) -> PredictAnswer | Exception:
    """What is told of a prediction that has come to its end."""
    if prediction.trouble is not None:
        return prediction.trouble
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
