import grpc
import pytest

from predictor.api.native.contract import MalformedError
from predictor.api.oip.grpc_server import grpc_code
from predictor.api.oip.inference import http_status
from predictor.domain.errors import (
    BadRequestError,
    CannotAnswerError,
    DeadlineError,
    ModelFailedError,
    NotAllowedError,
    OverloadedError,
    OverShareError,
    RefusalError,
    UnauthenticatedError,
    UnknownModelError,
)


@pytest.mark.parametrize(
    ("refusal", "status", "code"),
    [
        (BadRequestError("c", "m"), 400, "INVALID_ARGUMENT"),
        (MalformedError("m"), 400, "INVALID_ARGUMENT"),
        (UnknownModelError("c", "m"), 404, "NOT_FOUND"),
        (UnauthenticatedError("c", "m"), 401, "UNAUTHENTICATED"),
        (NotAllowedError("c", "m"), 403, "PERMISSION_DENIED"),
        (OverShareError("c", "m", retry_after=1), 429, "RESOURCE_EXHAUSTED"),
        (OverloadedError("c", "m", retry_after=1), 503, "UNAVAILABLE"),
        (CannotAnswerError("c", "m"), 503, "UNAVAILABLE"),
        (DeadlineError("c", "m"), 503, "DEADLINE_EXCEEDED"),
        (ModelFailedError("c", "m"), 500, "INTERNAL"),
    ],
)
def test_each_refusal_has_a_status_and_a_code(
    refusal: RefusalError, status: int, code: str
) -> None:
    assert http_status(refusal) == status
    assert grpc_code(refusal) is grpc.StatusCode[code]
