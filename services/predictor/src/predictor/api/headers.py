"""`X-Tailrace-Arm`: a tester says which arm answers, whatever the rollout's weight."""

import hmac
from collections.abc import Iterable, Sequence

from pydantic import SecretStr

from predictor.domain.errors import BadRequestError, NotAllowedError, UnauthenticatedError, shown

HEADER = "X-Tailrace-Arm"
_NAME = HEADER.lower().encode()
_LONGEST = 64
"""Characters of a version, by the contract."""
_BEARER = b"bearer "
PARAMETER = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "For testers who know the service's OVERRIDE_TOKEN and send it as"
    " `Authorization: Bearer`: `champion`, `challenger` or a version answers, whatever the"
    " rollout's weight. The prediction is logged as pinned, and counts in no verdict.",
    "schema": {"type": "string", "minLength": 1, "maxLength": _LONGEST},
    "examples": {"role": {"value": "challenger"}, "version": {"value": "4"}},
}
"""The header in the OpenAPI document."""


class Override:
    """Lets those who know the token choose."""

    def __init__(self, token: SecretStr | None) -> None:
        """Checks requests.

        Args:
            token: what testers send; None: nobody may choose.
        """
        self._token = None if token is None else token.get_secret_value().encode()

    def wanted(self, headers: Sequence[tuple[bytes, bytes]]) -> str | None:
        """The arm or version that a request asks for; None: that of its entity.

        Args:
            headers: names in lower case.

        Raises:
            UnauthenticatedError: its token is missing or wrong.
            NotAllowedError: nobody may choose here.
            BadRequestError: it is no name.
        """
        for name, value in headers:
            if name == _NAME:
                self._authorise(headers)
                return _checked(value)
        return None

    def _authorise(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        if self._token is None:
            raise NotAllowedError(
                "override_off",
                f"{HEADER} is not taken here: leave it out, or set OVERRIDE_TOKEN of the predictor"
                " and send that as Authorization: Bearer",
                HEADER,
            )
        given = next((value for name, value in headers if name == b"authorization"), b"")
        token = given[len(_BEARER) :].strip()
        # In constant time: how soon it fails must not tell how much of a guess was right.
        known = hmac.compare_digest(token, self._token)
        if not (known and given[: len(_BEARER)].lower() == _BEARER):
            raise UnauthenticatedError(
                "override_unauthenticated",
                f"{HEADER} needs the predictor's OVERRIDE_TOKEN: send it as Authorization: Bearer",
                "Authorization",
            )


def _checked(value: bytes) -> str:
    name = value.decode("latin-1").strip()
    if not 1 <= len(name) <= _LONGEST:
        raise BadRequestError(
            "invalid_request",
            f"{HEADER} is {shown(name)}: send champion, challenger or a version",
            HEADER,
        )
    return name
