"""`POST /predict`, and `POST /v1/models/{model}/predict` for one entity or for many."""

import asyncio
import re
import time
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from predictor.api.direct import Direct, DirectRequest, Handler
from predictor.api.headers import Header, timeout
from predictor.api.intake import Call
from predictor.api.native.contract import (
    ClassAnswer,
    FailedInstance,
    Instance,
    InvalidRequestError,
    MalformedError,
    ManyAnswer,
    ManyRequest,
    NumberAnswer,
    OneAnswer,
    PredictAnswer,
    decode_model_request,
    decode_request,
    encode,
)
from predictor.api.native.endpoint import JSON, Endpoint, encoded, error_detail
from predictor.domain.errors import BadRequestError, OverloadedError, RefusalError
from predictor.serving.prediction import Prediction
from servicekit.telemetry.tracing import TraceRequests

PREDICT = "/predict"
PREDICT_MODEL = "/v1/models/{model}/predict"
_PREDICT = PREDICT.encode()
_PREDICT_MODEL = re.compile(rb"/v1/models/([A-Za-z0-9_.-]+)/predict")


class MiddlewareBypass:
    """Serves `POST` to some routes without the application's middleware and router.

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


Answer = OneAnswer | ManyAnswer
Reply = Callable[[Answer | Exception], None]
"""Takes an answer, or why there is none."""


class _Predictions(Endpoint):
    """Answers instances, through ASGI or past it."""

    @abstractmethod
    def begin(self, body: bytes, call: Call, reply: Reply) -> None:
        """Read a request, and see to it that it is replied to; once, now or later.

        Raises:
            RefusalError: it is refused; there is no reply then.
        """

    async def reply(self, scope: Scope, body: bytes, call: Call) -> Answer:
        """See `Endpoint.reply`."""
        call.model = scope["path_params"].get("model", "")
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def reply(found: Answer | Exception) -> None:
            if answer.done():  # the caller has gone
                return
            if isinstance(found, Exception):
                answer.set_exception(found)
            else:
                answer.set_result(found)

        self.begin(body, call, reply)
        return await answer

    def handle(self, request: DirectRequest, model: str = "") -> None:
        """Answer a request that came past ASGI, whose path may name a model."""
        call = Call(request.headers, model)

        def reply(answer: Answer | Exception) -> None:
            if isinstance(answer, OverloadedError):
                refuse = partial(request.answer, *self.failed(call, answer))
                self.intake.limits.refusals.send(refuse)
            elif isinstance(answer, Exception):
                request.answer(*self.failed(call, answer))
            else:
                request.answer(200, JSON, encode(answer))

        try:
            call.seconds = timeout(call.headers)
            self.begin(request.body, call, reply)
        except Exception as error:
            reply(error)

    def failed(self, call: Call, failure: Exception) -> tuple[int, tuple[Header, ...], bytes]:
        """See `Endpoint.failed`."""
        if isinstance(failure, MalformedError):
            failure = encoded(call.headers) or failure
        return super().failed(call, failure)

    def begin_one(self, call: Call, instance: Instance, reply: Reply) -> None:
        """Have a checked instance answered; see `begin`."""
        self.intake.submit(call, instance, lambda done: reply(_answer(done)))


class Predict(_Predictions):
    """`POST /predict`: the model is in the body."""

    def begin(self, body: bytes, call: Call, reply: Reply) -> None:
        """See `_Predictions.begin`."""
        request = decode_request(body)
        call.model = request.model
        self.intake.check(request)
        self.intake.pin(call)
        self.begin_one(call, request, reply)


class PredictModel(_Predictions):
    """`POST /v1/models/{model}/predict`: one instance, or some under `instances`."""

    def begin(self, body: bytes, call: Call, reply: Reply) -> None:
        """See `_Predictions.begin`."""
        self.intake.answering.require_route(call.model)
        self.intake.pin(call)
        request = decode_model_request(body)
        if isinstance(request, ManyRequest):
            self._check_all(request.instances)
            self.intake.answering.require_room(call.model, len(request.instances))
            self._begin_all(call, request.instances, reply)
            return
        self.intake.check(request)
        self.begin_one(call, request, reply)

    def _check_all(self, instances: Sequence[Instance]) -> None:
        most = self.intake.limits.instances
        if not 1 <= len(instances) <= most:
            raise InvalidRequestError(
                f"instances has {len(instances)} items: send 1 to {most}", "instances"
            )
        for i, instance in enumerate(instances):
            try:
                self.intake.check(instance)
            except BadRequestError as error:
                raise BadRequestError(
                    error.code, f"instances[{i}]: {error.message}", f"instances[{i}].{error.field}"
                ) from None

    def _begin_all(self, call: Call, instances: Sequence[Instance], reply: Reply) -> None:
        """Ask for each in one turn, so that they share one batch; the last answer is the reply."""
        answers: list[OneAnswer | FailedInstance | None] = [None] * len(instances)
        left = len(instances)
        failure: Exception | None = None

        def take(i: int, answer: Answer | Exception) -> None:
            nonlocal left, failure
            left -= 1
            if isinstance(answer, RefusalError):
                self.intake.count_error(call.model, answer.code)
                answers[i] = FailedInstance(error_detail(answer))
            elif isinstance(answer, Exception):
                failure = answer
            elif not isinstance(answer, ManyAnswer):
                answers[i] = answer
            if not left:
                reply(failure or ManyAnswer(answers))

        for i, instance in enumerate(instances):
            try:
                self.begin_one(call, instance, partial(take, i))
            except RefusalError as refusal:
                take(i, refusal)


def direct(predict: Predict, predict_model: PredictModel) -> Direct:
    """Both endpoints past ASGI; paths with anything that is encoded take the long way."""

    def find(target: bytes) -> Handler | None:
        if target == _PREDICT:
            return predict.handle
        if found := _PREDICT_MODEL.fullmatch(target):
            return partial(predict_model.handle, model=found[1].decode())
        return None

    return Direct(find, predict.intake.limits.body_bytes)


def _answer(prediction: Prediction) -> OneAnswer | Exception:
    """What is sent for a prediction that is done."""
    if prediction.trouble is not None:
        return prediction.trouble
    version, decision = prediction.version, prediction.decision
    if decision is None:
        raise TypeError(f"prediction {prediction.prediction_id} ended without an answer")
    # Of the types that the task has.
    answer: Any = prediction.answer
    decided: Any = decision.prediction
    sure: Any = decision.confidence
    of_all = prediction.prediction_id, version.model, version.version, prediction.arm.name
    took = round((time.perf_counter() - prediction.arrived) * 1000, 3)
    task = version.target.task
    if task == "binary":
        return PredictAnswer(*of_all, decided, answer, sure, took)
    if task == "multiclass":
        return ClassAnswer(*of_all, decided, version.answers.by_name(answer), sure, took)
    return NumberAnswer(*of_all, decided, took)
