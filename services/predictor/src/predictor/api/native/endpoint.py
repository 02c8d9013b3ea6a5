"""An ASGI endpoint: bytes in, bytes out, every refusal an answer.

Pydantic and FastAPI's dependency machinery would cost as much as all the rest of a request.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence

import msgspec
from starlette.types import Receive, Scope, Send

from predictor.api.headers import Header, timeout
from predictor.api.intake import Call, Intake
from predictor.api.native.contract import ErrorAnswer, ErrorDetail, MalformedError, encode
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
    shown,
)
from servicekit.telemetry.tracing import current_traceparent

log = logging.getLogger(__name__)

JSON: tuple[Header, ...] = ((b"content-type", b"application/json"),)


class BodyTooLargeError(BadRequestError):
    """The body is over the limit; the rest of it was not read."""

    def __init__(self, limit: int) -> None:
        super().__init__("body_too_large", f"the body is larger than {limit} bytes")


class EncodedBodyError(BadRequestError):
    """The body is compressed, which this endpoint does not read."""

    def __init__(self, encoding: str) -> None:
        super().__init__(
            "unsupported_encoding",
            f"Content-Encoding is {shown(encoding)}: compressed bodies are not read here: send the"
            " JSON as it is",
            "Content-Encoding",
        )


class CallerGoneError(Exception):
    """The connection ended before the body did."""


class Endpoint(ABC):
    """Reads a body within its limit, and turns what `reply` returns or raises into an answer."""

    def __init__(self, intake: Intake) -> None:
        self.intake = intake

    @abstractmethod
    async def reply(
        self, scope: Scope, body: bytes, call: Call
    ) -> msgspec.Struct | tuple[bytes, Sequence[Header]]:
        """The answer to a body: what becomes JSON, or bytes and the headers that describe them.

        Raises:
            RefusalError: there is none.
        """

    def status(self, refusal: RefusalError) -> int:
        """The HTTP status of a refusal."""
        return status_of(refusal)

    def error(self, code: str, message: str, field: str | None) -> msgspec.Struct:
        """An error as it is sent."""
        return ErrorAnswer(ErrorDetail(code, message, field))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        call = Call(scope["headers"], traceparent=current_traceparent())
        limits = self.intake.limits
        status = 200
        try:
            call.seconds = timeout(call.headers)
            answer = await self.reply(scope, await _body(scope, receive, limits.body_bytes), call)
            body, of_body = answer if isinstance(answer, tuple) else (encode(answer), JSON)
        except CallerGoneError:
            return
        except Exception as error:
            status, of_body, body = self.failed(call, error)
            if isinstance(error, OverloadedError):
                await limits.refusals.turn()
        headers = [*of_body, (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def failed(self, call: Call, failure: Exception) -> tuple[int, tuple[Header, ...], bytes]:
        """Status, headers and body of a request that has no answer; it is counted."""
        headers = JSON
        if isinstance(failure, RefusalError):
            code, status = failure.code, self.status(failure)
            error = self.error(failure.code, failure.message, failure.field)
            if status in (429, 503):
                wait = self.intake.retry_after(failure)
                headers = ((b"retry-after", str(wait).encode()), *headers)
            if status == 401:
                headers = ((b"www-authenticate", b"Bearer"), *headers)
            if status == 413:
                headers = ((b"connection", b"close"), *headers)
        else:
            log.error("a request failed", exc_info=failure)
            code, status = "internal", 500
            error = self.error(code, "the predictor failed; its log says how", None)
        self.intake.count_error(call.model, code)
        return status, headers, encode(error)


def encoded(headers: Sequence[Header]) -> EncodedBodyError | None:
    """Why a body is no JSON, where its headers say that it is compressed."""
    for name, value in headers:
        if name == b"content-encoding" and value.strip().lower() not in (b"", b"identity"):
            return EncodedBodyError(value.decode("latin-1"))
    return None


def error_detail(refusal: RefusalError) -> ErrorDetail:
    """A refusal as it is sent."""
    return ErrorDetail(refusal.code, refusal.message, refusal.field)


_STATUSES = {
    UnknownModelError: 404,
    MalformedError: 400,
    BodyTooLargeError: 413,
    EncodedBodyError: 415,
    BadRequestError: 422,
    UnauthenticatedError: 401,
    NotAllowedError: 403,
    ModelFailedError: 500,
    OverShareError: 429,
    CannotAnswerError: 503,
}


def status_of(refusal: RefusalError) -> int:
    """The HTTP status of a refusal: that of the nearest of its classes."""
    return next((_STATUSES[c] for c in type(refusal).__mro__ if c in _STATUSES), 500)


async def _body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The body, read no further than the limit.

    Raises:
        BodyTooLargeError: it says that it is longer, or is.
        CallerGoneError: it never ended.
    """
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit() and int(value) > limit:
            raise BodyTooLargeError(limit)
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise CallerGoneError
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise BodyTooLargeError(limit)
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)
