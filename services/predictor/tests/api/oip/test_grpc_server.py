import asyncio
from unittest.mock import Mock

import grpc
import grpc.aio
import pytest

from predictor.api.native.contract import MalformedError
from predictor.api.oip.grpc_server import GrpcServer, grpc_code
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


async def started(*, header_bytes: int = 10_000, read_seconds: float = 60.0) -> GrpcServer:
    inference = Mock()
    inference.intake.limits.body_bytes = 1000
    server = GrpcServer(
        inference,
        lambda: True,
        "127.0.0.1",
        0,
        header_bytes=header_bytes,
        read_seconds=read_seconds,
    )
    await server.start()
    return server


def test_fault_1_3_a_connection_that_begins_no_call_is_closed() -> None:
    async def stall() -> bytes:
        server = await started(read_seconds=0.3)
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        try:
            async with asyncio.timeout(30):
                return await reader.read()  # to its end: what gRPC says first, and then it closes
        finally:
            writer.close()
            await server.stop()

    assert isinstance(asyncio.run(stall()), bytes)


@pytest.mark.parametrize(("size", "code"), [(1500, None), (3000, "RESOURCE_EXHAUSTED")])
def test_fault_1_3_metadata_have_a_limit(size: int, code: str | None) -> None:
    async def call() -> str | None:
        server = await started(header_bytes=2500)
        live = "/inference.GRPCInferenceService/ServerLive"
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
                await channel.unary_unary(live)(b"", metadata=(("x", "v" * size),))
        except grpc.aio.AioRpcError as error:
            return error.code().name
        finally:
            await server.stop()
        return None

    assert asyncio.run(call()) == code
