"""An ASGI endpoint: bytes in, bytes out, every refusal an answer.

Pydantic and FastAPI's dependency machinery would cost as much as all the rest of a request.
"""

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence

import msgspec
from starlette.types import Receive, Scope, Send

from predictor.api.native.contract import ErrorAnswer, ErrorDetail, MalformedError, encode
from predictor.api.timeouts import asked_seconds
from predictor.domain.errors import (
    BadRequestError,
    CannotAnswerError,
    ModelFailedError,
    NotAllowedError,
    OverloadedError,
    OverShareError,
    RefusalError,
    UnauthenticatedError,
    UnknownModelError,
)
from predictor.serving.metrics import ERRORS
from predictor.serving.refusal_limiter import RefusalLimiter
from servicekit.telemetry.tracing import current_traceparent

log = logging.getLogger(__name__)

Header = tuple[bytes, bytes]
JSON: tuple[Header, ...] = ((b"content-type", b"application/json"),)


class BodyTooLargeError(BadRequestError):
    """The body is over the limit; the rest of it was not read."""


class CallerGoneError(Exception):
    """The connection ended before the body did."""


class Call:
    """One request.

    Attributes:
        arrived: `time.perf_counter()` when it came.
        headers: its own, with names in lower case.
        seconds: that its caller gives it from then on; None: it does not say.
        model: that it asks, once known.
        traceparent: W3C trace context of its log records; None past ASGI, where none is traced.
    """

    __slots__ = ("arrived", "headers", "model", "seconds", "traceparent")

    def __init__(self, headers: Sequence[Header]) -> None:
        self.arrived = time.perf_counter()
        self.headers = headers
        self.model: str | None = None
        self.seconds: float | None = None
        self.traceparent: str | None = None


class Endpoint(ABC):
    """Reads a body within its limit, and turns what `reply` returns or raises into an answer."""

    def __init__(self, *, max_body_bytes: int, retry_after: int, refusals: RefusalLimiter) -> None:
        self.max_body = max_body_bytes
        self._retry_after = retry_after
        self.refusals = refusals
        """Sends those of overload."""

    @abstractmethod
    async def reply(
        self, scope: Scope, body: bytes, call: Call
    ) -> msgspec.Struct | tuple[bytes, Sequence[Header]]:
        """The answer to a body: what becomes JSON, or bytes and the headers that tell of them.

        Raises:
            RefusalError: there is none.
        """

    def status(self, refusal: RefusalError) -> int:
        """The HTTP status of a refusal."""
        return status_of(refusal)

    def told(self, code: str, message: str, field: str | None) -> msgspec.Struct:
        """An error as it is sent."""
        return ErrorAnswer(ErrorDetail(code, message, field))

    @abstractmethod
    def serves(self, model: str) -> bool:
        """Whether a model is known: what callers make up must not become a label."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        call = Call(scope["headers"])
        call.traceparent = current_traceparent()
        status = 200
        try:
            call.seconds = asked_seconds(call.headers)
            answer = await self.reply(scope, await _body(scope, receive, self.max_body), call)
            body, given = answer if isinstance(answer, tuple) else (encode(answer), JSON)
        except CallerGoneError:
            return
        except Exception as error:
            status, given, body = self.failed(call, error)
            if isinstance(error, OverloadedError):
                await self.refusals.turn()
        headers = [*given, (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def failed(self, call: Call, error: Exception) -> tuple[int, tuple[Header, ...], bytes]:
        """Status, headers and body of a request that has no answer; it is counted."""
        headers = JSON
        if isinstance(error, RefusalError):
            code, status = error.code, self.status(error)
            told = self.told(error.code, error.message, error.field)
            if status in (429, 503):
                wait = error.retry_after or self._retry_after
                headers = ((b"retry-after", str(wait).encode()), *headers)
            if status == 401:
                headers = ((b"www-authenticate", b"Bearer"), *headers)
            if status == 413:
                headers = ((b"connection", b"close"), *headers)
        else:
            log.error("a request failed", exc_info=error)
            code, status = "internal", 500
            told = self.told(code, "the predictor failed; its log says how", None)
        self.count(call, code)
        return status, headers, encode(told)

    def count(self, call: Call, code: str) -> None:
        """Count an error."""
        model = call.model if call.model and self.serves(call.model) else ""
        ERRORS.labels(model, code).inc()


def error_detail(refusal: RefusalError) -> ErrorDetail:
    """A refusal as it is sent."""
    return ErrorDetail(refusal.code, refusal.message, refusal.field)


def status_of(refusal: RefusalError) -> int:
    """The HTTP status of a refusal."""
    match refusal:
        case UnknownModelError():
            return 404
        case MalformedError():
            return 400
        case BodyTooLargeError():
            return 413
        case BadRequestError():
            return 422
        case UnauthenticatedError():
            return 401
        case NotAllowedError():
            return 403
        case ModelFailedError():
            return 500
        case OverShareError():
            return 429
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
