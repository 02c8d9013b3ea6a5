"""The protocol over gRPC, on a port of its own and on the event loop of the HTTP side."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio

from predictor.api.intake import Call
from predictor.api.oip.grpc_tensors import SERVICE, decoded, encoded, message, methods
from predictor.api.oip.inference import Inference, http_status
from predictor.domain.errors import DeadlineError, OverloadedError, RefusalError
from predictor.serving.metrics import GRPC_REQUESTS

log = logging.getLogger(__name__)

MAX_STREAMS = 1000
"""Calls of one connection that are under way, at most; gRPC's clients wait with the next one."""
GRACE_SECONDS = 5.0
"""For calls under way when the process stops."""
_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    413: grpc.StatusCode.RESOURCE_EXHAUSTED,
    429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    503: grpc.StatusCode.UNAVAILABLE,
}


class GrpcServer:
    """Serves `GRPCInferenceService`.

    Port 0 takes a free one; `shared` says that other workers listen on the same port. A call's
    metadata have at most `header_bytes`, and a connection that begins no call is closed after
    `read_seconds`.
    """

    def __init__(
        self,
        inference: Inference,
        ready: Callable[[], bool],
        host: str,
        port: int,
        *,
        shared: bool = False,
        header_bytes: int,
        read_seconds: float,
    ) -> None:
        self._shared = shared
        self._header_bytes = header_bytes
        self._read_seconds = read_seconds
        self._inference = inference
        self._ready = ready
        self._host = host
        self.port = port
        """To listen on; after the start, that which was taken."""
        self._server: grpc.aio.Server | None = None

    async def start(self) -> None:
        """Listen; on the event loop.

        Raises:
            RuntimeError: the port cannot be taken.
        """
        limit = self._inference.intake.limits.body_bytes
        server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", limit),
                # Above the soft limit gRPC refuses some calls, and above the other one all.
                ("grpc.max_metadata_size", self._header_bytes),
                ("grpc.absolute_max_metadata_size", self._header_bytes),
                ("grpc.max_concurrent_streams", MAX_STREAMS),
                ("grpc.server_handshake_timeout_ms", int(self._read_seconds * 1000)),
                ("grpc.max_connection_idle_ms", int(self._read_seconds * 1000)),
                # Two processes on one port by mistake would share the calls.
                ("grpc.so_reuseport", int(self._shared)),
            ]
        )
        handlers = {
            name: grpc.unary_unary_rpc_method_handler(
                self._handler(name),
                request_deserializer=request.FromString,
                response_serializer=response.SerializeToString,
            )
            for name, (request, response) in methods().items()
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        host = f"[{self._host}]" if ":" in self._host else self._host
        try:
            self.port = server.add_insecure_port(f"{host}:{self.port}")
        except RuntimeError as error:
            raise RuntimeError(
                f"GRPC_PORT={self.port}: cannot listen there; stop what listens on it, or set"
                " GRPC_PORT to a free port"
            ) from error
        await server.start()
        self._server = server
        log.info("gRPC on %s:%d", host, self.port)

    async def stop(self) -> None:
        """Take no more calls, and let those under way end."""
        if self._server is not None:
            await self._server.stop(GRACE_SECONDS)

    def _handler(self, name: str) -> Callable[[Any, Any], Awaitable[Any]]:
        async def handle(request: Any, context: Any) -> Any:
            code, text, more = grpc.StatusCode.OK, "", ()
            try:
                if name == "ModelInfer":
                    return await self._infer(request, context)
                return message(f"{name}Response")(**self._page(name, request))
            except RefusalError as refusal:
                code, text = grpc_code(refusal), refusal.message
                if http_status(refusal) in (429, 503):
                    # gRPC's Retry-After; its clients keep to it when they try again.
                    wait = self._inference.intake.retry_after(refusal)
                    more = (("grpc-retry-pushback-ms", str(wait * 1000)),)
                if isinstance(refusal, OverloadedError):
                    await self._inference.intake.limits.refusals.turn()
                model = getattr(request, "model_name", "") or getattr(request, "name", "")
                self._inference.intake.count_error(model, refusal.code)
            except Exception:
                log.exception("a call failed")
                code, text = grpc.StatusCode.INTERNAL, "the predictor failed; its log says how"
                self._inference.intake.count_error("", "internal")
            finally:
                GRPC_REQUESTS.labels(name, code.name).inc()
            return await context.abort(code, text, more)  # it raises

        return handle

    def _page(self, name: str, request: Any) -> dict[str, Any]:
        """The response to a call that is no inference."""
        match name:
            case "ServerLive":
                return {"live": True}
            case "ServerReady":
                return {"ready": self._ready()}
            case "ModelReady":
                self._inference.arm(request.name, request.version)
                return {"ready": True}
            case "ServerMetadata":
                return self._inference.server()
            case "ModelMetadata":
                found = self._inference.metadata(request.name, request.version)
                # Clients disagree on the type of properties: MLServer's cannot read the standard's.
                del found["properties"]
                return found
            case "RepositoryIndex":
                return {"models": self._inference.index()}
        raise NotImplementedError(name)

    async def _infer(self, request: Any, context: Any) -> Any:
        call = Call(
            [(name.encode(), _bytes(value)) for name, value in context.invocation_metadata()],
            model=request.model_name,
            seconds=context.time_remaining(),
        )
        parent = next((value for name, value in call.headers if name == b"traceparent"), None)
        call.traceparent = None if parent is None else parent.decode("latin-1")
        named = self._inference.intake.override.arm(call.headers)
        self._inference.pin(call, request.model_version or None, named)
        answer = await self._inference.infer(call, decoded(request))
        return encoded(answer, raw=bool(request.raw_input_contents))


def grpc_code(refusal: RefusalError) -> grpc.StatusCode:
    """The code that means the same."""
    if isinstance(refusal, DeadlineError):
        return grpc.StatusCode.DEADLINE_EXCEEDED
    return _CODES.get(http_status(refusal), grpc.StatusCode.INTERNAL)


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()
