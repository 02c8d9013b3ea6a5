"""The deadline of a request, out of its headers."""

from collections.abc import Iterable

from predictor.domain.deadlines import HEADER, seconds

_NAME = HEADER.lower().encode()

PARAMETER = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "Seconds that the caller waits. What has not begun by then is not computed, and"
    " answered 503 `deadline`. More than the service's MAX_REQUEST_TIMEOUT_SECONDS is taken as"
    " that.",
    "schema": {"type": "number", "exclusiveMinimum": 0},
    "example": 0.5,
}
"""In the OpenAPI document."""


def asked_seconds(headers: Iterable[tuple[bytes, bytes]]) -> float | None:
    """The seconds that a caller gives a request; None where it does not say.

    Raises:
        BadRequestError: it says something else.
    """
    for name, value in headers:
        if name == _NAME:
            return seconds(value.decode("latin-1"))
    return None
