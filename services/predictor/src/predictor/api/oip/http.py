"""The protocol over HTTP."""

import zlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
from fastapi import APIRouter
from starlette.responses import JSONResponse, Response
from starlette.types import Scope

from predictor.api.headers import Header
from predictor.api.intake import Call
from predictor.api.native.contract import InvalidRequestError
from predictor.api.native.endpoint import JSON, BodyTooLargeError, Endpoint
from predictor.api.oip.body import WireError, decode, encoded
from predictor.api.oip.inference import Inference, http_status
from predictor.domain.errors import RefusalError, shown

INFER = "/v2/models/{model}/infer"
INFER_VERSION = "/v2/models/{model}/versions/{version}/infer"
_LENGTH = b"inference-header-content-length"
_WINDOW = {b"gzip": 31, b"deflate": 15}
"""zlib's word for each encoding of a body."""
MAX_MEMBERS = 64
"""Members of a gzip body: each one costs a copy of what follows it."""


class Infer(Endpoint):
    """`POST …/infer`, of a version or of the one that the rollout names."""

    def __init__(self, inference: Inference) -> None:
        super().__init__(inference.intake)
        self._inference = inference

    async def reply(self, scope: Scope, body: bytes, call: Call) -> tuple[bytes, Sequence[Header]]:
        """See `Endpoint.reply`."""
        path = scope["path_params"]
        call.model = path["model"]
        named = self.intake.override.arm(call.headers)
        length, encoding = _headers(call.headers)
        if encoding is not None:
            body = _expanded(body, encoding, self.intake.limits.body_bytes)
        request, binary = decode(body, length)
        self._inference.pin(call, path.get("version"), named)
        answer = await self._inference.infer(call, request)
        found, head = encoded(answer, binary)
        if head is None:
            return found, JSON
        return found, [
            (b"content-type", b"application/octet-stream"),
            (_LENGTH, str(head).encode()),
        ]

    def status(self, refusal: RefusalError) -> int:
        """See `Endpoint.status`."""
        return http_status(refusal)

    def error(self, code: str, message: str, field: str | None) -> msgspec.Struct:
        """See `Endpoint.error`."""
        return WireError(message)


def _headers(headers: Iterable[Header]) -> tuple[int | None, bytes | None]:
    """What the protocol and the encoding say of the body."""
    length: int | None = None
    encoding: bytes | None = None
    for name, value in headers:
        if name == _LENGTH:
            if not (value.isdigit() and len(value) <= 18):
                raise InvalidRequestError(
                    f"Inference-Header-Content-Length is {shown(value.decode('latin-1'))}: send the"
                    " number of bytes of the body's JSON"
                )
            length = int(value)
        elif name == b"content-encoding" and value.lower() != b"identity":
            encoding = value.lower()
    return length, encoding


def _expanded(body: bytes, encoding: bytes, limit: int) -> bytes:
    """A compressed body as it was, whole and no longer than the limit.

    Gzip may have several members (RFC 1952, 2.2), and deflate its zlib header or none: clients do
    both.
    """
    window = _WINDOW.get(encoding)
    if window is None:
        raise InvalidRequestError(
            f"Content-Encoding {shown(encoding.decode('latin-1'))} is unknown: send gzip, deflate"
            " or none"
        )
    if encoding == b"deflate" and not _has_zlib_header(body):
        window = -window
    found = b""
    for _ in range(MAX_MEMBERS):
        expander = zlib.decompressobj(window)
        try:
            found += expander.decompress(body, limit + 1 - len(found))
        except zlib.error as error:
            raise InvalidRequestError(f"the body is no {encoding.decode()}: {error}") from None
        if len(found) > limit:
            raise BodyTooLargeError(limit)
        if not expander.eof:
            raise InvalidRequestError(f"the body ends before its {encoding.decode()} does")
        body = expander.unused_data
        if not body:
            return found
        if encoding == b"deflate":
            raise InvalidRequestError(f"{len(body)} bytes follow the deflate of the body")
    raise InvalidRequestError(f"the body has more than {MAX_MEMBERS} gzip members: send one")


def _has_zlib_header(body: bytes) -> bool:
    """Whether a body begins as RFC 1950, 2.2 says."""
    return len(body) > 1 and body[0] & 15 == 8 and int.from_bytes(body[:2]) % 31 == 0


def protocol_pages(inference: Inference, ready: Callable[[], bool]) -> APIRouter:
    """All of the protocol that is no inference."""
    router = APIRouter(prefix="/v2", tags=["open inference protocol"])

    @router.get("", summary="Server metadata", response_model=None)
    async def server() -> dict[str, Any]:
        """Name, version and extensions."""
        return inference.server()

    @router.get("/health/live", summary="Server live", response_model=None)
    async def live() -> dict[str, bool]:
        """200 while the process answers."""
        return {"live": True}

    @router.get("/health/ready", summary="Server ready", response_model=None, responses=_NOT_READY)
    async def server_ready() -> Response:
        """200 when every announced model can answer."""
        is_ready = ready()
        return JSONResponse({"ready": is_ready}, 200 if is_ready else 503)

    @router.get("/models", summary="Models", response_model=None)
    async def models() -> dict[str, list[str]]:
        """Names of what is served."""
        return {"models": inference.models}

    @router.post("/repository/index", summary="Repository index", response_model=None)
    async def index() -> list[dict[str, str]]:
        """Each loaded version (the model repository extension)."""
        return inference.index()

    def model(model: str, version: str | None = None) -> Response:
        """What the model takes and gives; features from the store are not among its inputs."""
        return _answered(lambda: inference.metadata(model, version))

    def model_ready(model: str, version: str | None = None) -> Response:
        """200 when the model can answer."""
        return _answered(
            lambda: {"name": inference.arm(model, version).version.model, "ready": True}
        )

    for page, path, summary in (
        (model, "", "Model metadata"),
        (model_ready, "/ready", "Model ready"),
    ):
        _add(router, page, path, summary)
    return router


def _add(router: APIRouter, page: Callable[..., Response], path: str, summary: str) -> None:
    """A page of a model, and of a version of it."""
    name = page.__name__

    async def of_model(model: str) -> Response:
        return page(model)

    async def of_version(model: str, version: str) -> Response:
        return page(model, version)

    for prefix, each, more in (
        ("/models/{model}", of_model, ""),
        ("/models/{model}/versions/{version}", of_version, " of a version"),
    ):
        router.add_api_route(
            prefix + path,
            each,
            methods=["GET"],
            summary=summary + more,
            description=page.__doc__,
            name=name + more.replace(" ", "_"),
            response_model=None,
            responses=_REFUSED,
        )


def _answered(page: Callable[[], dict[str, Any]]) -> Response:
    try:
        return JSONResponse(page())
    except RefusalError as refusal:
        return JSONResponse({"error": refusal.message}, http_status(refusal))


_ERROR_SCHEMA = {
    "application/json": {
        "schema": {
            "type": "object",
            "properties": {"error": {"type": "string"}},
            "required": ["error"],
        }
    }
}
_REFUSED: dict[int | str, dict[str, Any]] = {
    404: {"description": "No such model or version.", "content": _ERROR_SCHEMA},
    503: {"description": "No model is loaded yet.", "content": _ERROR_SCHEMA},
}
_NOT_READY: dict[int | str, dict[str, Any]] = {
    503: {"description": "It is not, yet or any more."},
}
