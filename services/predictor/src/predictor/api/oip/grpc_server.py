"""The protocol over gRPC, on a port of its own and on the event loop of the HTTP side."""

import logging
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio

from predictor.api.intake import Call
from predictor.api.oip import metadata
from predictor.api.oip.grpc_tensors import decoded, encoded
from predictor.api.oip.inference import Inference
from predictor.api.oip.messages import SERVICE, message, methods
from predictor.api.oip.statuses import grpc_code, http_status
from predictor.domain.errors import OverloadedError, RefusalError
from predictor.serving.metrics import GRPC_REQUESTS

log = logging.getLogger(__name__)

GRACE_SECONDS = 5.0
"""For calls under way when the process is told to stop."""


class GrpcServer:
    """Serves `GRPCInferenceService`.

    Port 0 takes a free one; `shared` says that other workers listen on the same port.
    """

    def __init__(
        self,
        inference: Inference,
        ready: Callable[[], bool],
        host: str,
        port: int,
        *,
        shared: bool = False,
    ) -> None:
        self._shared = shared
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
        answer = getattr(self, f"_{name}")

        async def handle(request: Any, context: Any) -> Any:
            code, text, more = grpc.StatusCode.OK, "", ()
            try:
                return await answer(request, context)
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
                self._inference.intake.count_error(None, "internal")
            finally:
                GRPC_REQUESTS.labels(name, code.name).inc()
            return await context.abort(code, text, more)  # it raises

        return handle

    async def _ServerLive(self, request: Any, context: Any) -> Any:  # noqa: N802 - the service's
        return message("ServerLiveResponse")(live=True)

    async def _ServerReady(self, request: Any, context: Any) -> Any:  # noqa: N802
        return message("ServerReadyResponse")(ready=self._ready())

    async def _ModelReady(self, request: Any, context: Any) -> Any:  # noqa: N802
        self._inference.arm(request.name, request.version)
        return message("ModelReadyResponse")(ready=True)

    async def _ServerMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802
        return message("ServerMetadataResponse")(**metadata.server())

    async def _ModelMetadata(self, request: Any, context: Any) -> Any:  # noqa: N802
        arm = self._inference.arm(request.name, request.version)
        found = metadata.model(self._inference.route(request.name), arm)
        # Clients disagree on the type of properties: MLServer's cannot read the standard's.
        del found["properties"]
        return message("ModelMetadataResponse")(**found)

    async def _RepositoryIndex(self, request: Any, context: Any) -> Any:  # noqa: N802
        routes = [self._inference.route(name) for name in self._inference.models]
        return message("RepositoryIndexResponse")(models=metadata.index(routes))

    async def _ModelInfer(self, request: Any, context: Any) -> Any:  # noqa: N802
        call = Call(
            [(name.encode(), _bytes(value)) for name, value in context.invocation_metadata()],
            model=request.model_name,
            seconds=context.time_remaining(),
        )
        parent = next((value for name, value in call.headers if name == b"traceparent"), None)
        call.traceparent = None if parent is None else parent.decode("latin-1")
        named = self._inference.intake.override.arm(call.headers)
        pinned = self._inference.pinned(request.model_name, request.model_version or None, named)
        answer = await self._inference.infer(call, request.model_name, pinned, decoded(request))
        return encoded(answer, raw=bool(request.raw_input_contents))


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()
