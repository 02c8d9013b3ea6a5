"""Answers a request of the protocol, by the same way as any other: arms, features, log, limits."""

import asyncio
from collections.abc import Callable

from predictor.api.headers import HEADER, Override
from predictor.api.native.contract import Instance, check
from predictor.api.native.predict import Limits
from predictor.api.oip.rows import check_outputs, instances, outputs
from predictor.api.oip.tensors import InferAnswer, InferRequest, check_parameters, shortest
from predictor.domain.errors import BadRequestError, RefusalError, shown
from predictor.domain.routing import Arm
from predictor.serving.answering import Answering
from predictor.serving.prediction import Prediction
from predictor.serving.routes.loaded import (
    LoadedRoute,
    LoadedRoutes,
    LoadedVersion,
    arm_of_version,
)
from servicekit.clock import Clock


class Inference:
    """What HTTP and gRPC share."""

    def __init__(
        self,
        routes: Callable[[], LoadedRoutes],
        answering: Answering,
        clock: Clock,
        limits: Limits,
        override: Override,
    ) -> None:
        """Ready for requests.

        Args:
            routes: gives the routes in force.
            answering: answers rows.
            clock: wall time.
            limits: of what is asked.
            override: lets testers choose the arm.
        """
        self._routes = routes
        self._answering = answering
        self._clock = clock
        self.limits = limits
        self.override = override

    @property
    def models(self) -> list[str]:
        """The names of what is served."""
        return sorted(self._routes())

    def route(self, model: str) -> LoadedRoute:
        """The route of a model.

        Raises:
            CannotAnswerError: no model is loaded at all.
            UnknownModelError: others are, this one is not.
        """
        return self._routes().of(model)

    def serves(self, model: str) -> bool:
        """Whether a model has a route."""
        return self._answering.serves(model)

    def arm(self, model: str, version: str | None) -> Arm[LoadedVersion]:
        """The arm of a version, the champion for none.

        Raises:
            CannotAnswerError: no model is loaded at all.
            UnknownModelError: the model or the version is not loaded.
        """
        route = self.route(model)
        return arm_of_version(route, version) if version else route.champion

    def pinned(
        self, model: str, version: str | None, wanted: str | None
    ) -> Arm[LoadedVersion] | None:
        """The arm that the caller chooses; None: the rollout in force chooses by entity.

        Args:
            model: its name.
            version: what the path names.
            wanted: what the header of testers names.

        Raises:
            CannotAnswerError: no model is loaded at all.
            UnknownModelError: the model or the arm is not loaded.
            BadRequestError: both name one.
        """
        if wanted is None:
            return self.arm(model, version) if version else None
        if version:
            raise BadRequestError(
                "invalid_request",
                f"version {shown(version)} is named already: leave {HEADER} out",
                HEADER,
            )
        return self._answering.arm(model, wanted)

    async def infer(
        self,
        model: str,
        pinned: Arm[LoadedVersion] | None,
        request: InferRequest,
        arrived: float,
        seconds: float | None,
        traceparent: str | None,
    ) -> InferAnswer:
        """Answer a request; each of its rows is in the log when this returns.

        Args:
            model: its name.
            pinned: answers all rows; None: the rollout in force chooses by entity.
            request: what is asked.
            arrived: `time.perf_counter()` when it came.
            seconds: that the caller gives it from then on; None: it does not say.
            traceparent: W3C trace context.

        Raises:
            RefusalError: a row has no answer; others of the request may be in the log.
        """
        arm = pinned or self.route(model).champion
        check_parameters(request.parameters, "parameters")
        seconds = shortest(seconds, request.parameters.get("timeout"))
        check_outputs(request.outputs)
        signature = arm.version.signature
        asked = [each for each in signature.inputs if not each.stored]
        if not request.inputs:
            names = ", ".join(each.name for each in asked)
            raise BadRequestError("invalid_request", f"there are no inputs: send {names}", "inputs")
        rows = instances(request, asked, self.limits.instances)
        for i, row in enumerate(rows):
            self._check(row, i)
        self._answering.require_room(model, len(rows))
        # They start in one turn of the event loop, so they share one batch.
        found = await asyncio.gather(
            *(self._one(model, pinned, row, arrived, seconds, traceparent) for row in rows),
            return_exceptions=True,
        )
        predictions: list[Prediction] = []
        for i, each in enumerate(found):
            if isinstance(each, RefusalError):
                each.message = f"row {i}: {each.message}" if len(rows) > 1 else each.message
                raise each
            if isinstance(each, BaseException):
                raise each
            predictions.append(each)
        versions = {each.version.version for each in predictions}
        return InferAnswer(
            model=model,
            version=versions.pop() if len(versions) == 1 else None,
            id=request.id,
            outputs=outputs(predictions, request.outputs),
        )

    def _check(self, row: Instance, i: int) -> None:
        """Hold a row against the limits."""
        limits = self.limits
        try:
            check(row, self._clock.now(), limits.event_time_ahead_seconds, limits.entity_characters)
        except BadRequestError as error:
            raise BadRequestError(error.code, f"row {i}: {error.message}", error.field) from None

    def _one(
        self,
        model: str,
        pinned: Arm[LoadedVersion] | None,
        row: Instance,
        arrived: float,
        seconds: float | None,
        traceparent: str | None,
    ) -> "asyncio.Future[Prediction]":
        return asyncio.ensure_future(
            self._answering.predict(
                model,
                row,
                arrived=arrived,
                within=self.limits.timeouts.of(seconds),
                timed=seconds is not None,
                traceparent=traceparent,
                pinned=pinned,
            )
        )
