"""The headers of ours that every way in reads: who is to answer, and for how long to wait."""

import hmac
from collections.abc import Sequence
from typing import Any

from pydantic import SecretStr

from predictor.api.native.contract import InvalidRequestError
from predictor.domain.deadlines import HEADER as TIMEOUT
from predictor.domain.deadlines import seconds
from predictor.domain.errors import NotAllowedError, UnauthenticatedError, shown

Header = tuple[bytes, bytes]
"""Name in lower case, value."""

ARM = "X-Tailrace-Arm"
"""A tester names the arm that answers, whatever the rollout's weight."""
_LONGEST_ARM = 64
"""Characters of a version, by the contract."""
_BEARER = b"bearer "
PARAMETERS: tuple[dict[str, Any], ...] = (
    {
        "name": ARM,
        "in": "header",
        "required": False,
        "description": "For testers who know the service's OVERRIDE_TOKEN and send it as"
        " `Authorization: Bearer`: `champion`, `challenger` or a version answers, whatever the"
        " rollout's weight. The prediction is logged as pinned, and counts in no verdict.",
        "schema": {"type": "string", "minLength": 1, "maxLength": _LONGEST_ARM},
        "examples": {"role": {"value": "challenger"}, "version": {"value": "4"}},
    },
    {
        "name": TIMEOUT,
        "in": "header",
        "required": False,
        "description": "Seconds that the caller waits. What has not begun by then is not computed,"
        " and answered 503 `deadline`. More than the service's MAX_REQUEST_TIMEOUT_SECONDS is taken"
        " as that.",
        "schema": {"type": "number", "exclusiveMinimum": 0},
        "example": 0.5,
    },
)
"""The headers in the OpenAPI document."""


def _value(headers: Sequence[Header], wanted: bytes) -> bytes | None:
    for name, value in headers:
        if name == wanted:
            return value
    return None


def timeout(headers: Sequence[Header]) -> float | None:
    """The seconds that a caller gives a request; None where it does not say."""
    value = _value(headers, b"x-request-timeout")
    return None if value is None else seconds(value.decode("latin-1"))


class Override:
    """Lets those who know a token choose the arm; without a token, nobody may."""

    def __init__(self, token: SecretStr | None) -> None:
        self._token = None if token is None else token.get_secret_value().encode()

    def arm(self, headers: Sequence[Header]) -> str | None:
        """The arm or version that a request asks for; None: that of its entity.

        Raises:
            UnauthenticatedError: its token is missing or wrong.
            NotAllowedError: nobody may choose here.
            BadRequestError: it is no name.
        """
        value = _value(headers, b"x-tailrace-arm")
        if value is None:
            return None
        self._authorise(headers)
        name = value.decode("latin-1").strip()
        if not 1 <= len(name) <= _LONGEST_ARM:
            raise InvalidRequestError(
                f"{ARM} is {shown(name)}: send champion, challenger or a version", ARM
            )
        return name

    def _authorise(self, headers: Sequence[Header]) -> None:
        if self._token is None:
            raise NotAllowedError(
                "override_off",
                f"{ARM} is not taken here: leave it out, or set OVERRIDE_TOKEN of the predictor"
                " and send that as Authorization: Bearer",
                ARM,
            )
        given = _value(headers, b"authorization") or b""
        token = given[len(_BEARER) :].strip()
        # In constant time: how soon it fails must not tell how much of a guess was right.
        known = hmac.compare_digest(token, self._token)
        if not (known and given[: len(_BEARER)].lower() == _BEARER):
            raise UnauthenticatedError(
                "override_unauthenticated",
                f"{ARM} needs the predictor's OVERRIDE_TOKEN: send it as Authorization: Bearer",
                "Authorization",
            )
