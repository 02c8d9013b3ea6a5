"""Refusals in the protocol: an HTTP status, or a gRPC code."""

import grpc

from predictor.api.native.endpoint import status_of
from predictor.domain.errors import DeadlineError, RefusalError

_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    503: grpc.StatusCode.UNAVAILABLE,
}


def http_status(refusal: RefusalError) -> int:
    """The status of `status_of`, but 400 for 422, which clients of the protocol do not know."""
    status = status_of(refusal)
    return 400 if status == 422 else status


def grpc_code(refusal: RefusalError) -> grpc.StatusCode:
    """The code that means the same."""
    if isinstance(refusal, DeadlineError):
        return grpc.StatusCode.DEADLINE_EXCEEDED
    return _CODES.get(http_status(refusal), grpc.StatusCode.INTERNAL)
