"""`POST /predict`: bytes in, bytes out.

An ASGI endpoint of its own: Pydantic and FastAPI's dependency machinery would cost as much as all
the rest of a request.
"""

import logging
import time

from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from predictor.api.contract import (
    ErrorAnswer,
    ErrorDetail,
    MalformedError,
    PredictAnswer,
    PredictRequest,
    check,
    decode_request,
    encode,
)
from predictor.domain.answer import confidence, predicted_class
from predictor.domain.errors import (
    BadRequestError,
    CannotAnswerError,
    ModelFailedError,
    RefusalError,
    UnknownModelError,
)
from predictor.handlers.answering import Answering, Prediction
from predictor.handlers.metrics import ERRORS
from servicekit.clock import Clock
from servicekit.telemetry.tracing import TraceRequests, current_traceparent

log = logging.getLogger(__name__)

Header = tuple[bytes, bytes]
_JSON: Header = (b"content-type", b"application/json")


class BodyTooLargeError(BadRequestError):
    """The body is over the limit; the rest of it was not read."""


class CallerGoneError(Exception):
    """The connection ended before the body did."""


class Shortcut:
    """Takes `POST` to one path past the application, its middleware and its router.

    They take half of a request's time, and do nothing for this endpoint: it turns every exception
    into an answer by itself. What traces requests comes along.
    """

    def __init__(self, app: ASGIApp, route: Route) -> None:
        self._app = app
        self._route = route
        self._path = route.path
        self._endpoint = TraceRequests(route.endpoint)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["path"] == self._path and scope["method"] == "POST":
            scope["route"] = self._route  # names the span, as the router would
            await self._endpoint(scope, receive, send)
        else:
            await self._app(scope, receive, send)


class Predict:
    """The endpoint."""

    def __init__(
        self,
        answering: Answering,
        clock: Clock,
        *,
        max_body_bytes: int,
        max_entity: int,
        max_ahead: float,
        retry_after: int,
    ) -> None:
        self._answering = answering
        self._clock = clock
        self._max_body = max_body_bytes
        self._max_entity = max_entity
        self._max_ahead = max_ahead
        self._retry_after: Header = (b"retry-after", str(retry_after).encode())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        arrived = time.perf_counter()
        headers = [_JSON]
        request: PredictRequest | None = None
        try:
            request = decode_request(await _body(scope, receive, self._max_body))
            check(request, self._clock.now(), self._max_ahead, self._max_entity)
            prediction = await self._answering.predict(
                model=request.model,
                entity=request.entity_id,
                features=request.features,
                event_time=request.event_time,
                prediction_id=request.prediction_id,
                arrived=arrived,
                traceparent=current_traceparent(),
            )
            status = 200
            answer: PredictAnswer | ErrorAnswer = _answer(prediction)
        except RefusalError as refusal:
            status = _status(refusal)
            answer = ErrorAnswer(ErrorDetail(refusal.code, refusal.message, refusal.field))
            if status == 503:
                headers.append(self._retry_after)
            if status == 413:
                headers.append((b"connection", b"close"))
            self._count(request, refusal.code)
        except CallerGoneError:
            return
        except Exception:
            log.exception("a request failed")
            status = 500
            answer = ErrorAnswer(ErrorDetail("internal", "the predictor failed; its log says how"))
            self._count(request, "internal")
        body = encode(answer)
        headers.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _count(self, request: PredictRequest | None, code: str) -> None:
        # What callers make up must not become a label.
        known = request is not None and self._answering.serves(request.model)
        ERRORS.labels(request.model if request and known else "", code).inc()


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


def _status(refusal: RefusalError) -> int:
    match refusal:
        case UnknownModelError():
            return 404
        case MalformedError():
            return 400
        case BodyTooLargeError():
            return 413
        case BadRequestError():
            return 422
        case ModelFailedError():
            return 500
        case CannotAnswerError():
            return 503
    return 500


async def _body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The body, read no further than the limit.

    Raises:
        BodyTooLargeError: it says that it is longer, or is.
        CallerGoneError: it never ended.
    """
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > limit:
            raise _too_large(limit)
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        body = message.get("body", b"")
        if len(body) > limit:
            raise _too_large(limit)
        return body
    parts: list[bytes] = []
    size = 0
    while True:
        if message["type"] == "http.disconnect":
            raise CallerGoneError
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)
        message = await receive()


def _too_large(limit: int) -> BodyTooLargeError:
    return BodyTooLargeError("body_too_large", f"the body is larger than {limit} bytes")
