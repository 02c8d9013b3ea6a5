"""Answers a request of the protocol, like any other: arms, features, log, limits."""

import asyncio
from collections.abc import Callable

from predictor.api.headers import ARM
from predictor.api.intake import Call, Intake
from predictor.api.native.contract import InvalidRequestError
from predictor.api.oip.rows import instances, outputs, require_outputs
from predictor.api.oip.tensors import InferAnswer, InferRequest, refuse_extensions, shortest
from predictor.domain.errors import BadRequestError, RefusalError, shown
from predictor.domain.routing import Arm
from predictor.serving.prediction import Prediction
from predictor.serving.routes.loaded import (
    LoadedRoute,
    LoadedRoutes,
    LoadedVersion,
    arm_of_version,
)


class Inference:
    """What HTTP and gRPC share."""

    def __init__(self, routes: Callable[[], LoadedRoutes], intake: Intake) -> None:
        self._routes = routes
        self.intake = intake

    @property
    def models(self) -> list[str]:
        """The names of what is served."""
        return sorted(self._routes())

    def route(self, model: str) -> LoadedRoute:
        """The route of a model; raise RefusalError when it has none."""
        return self._routes().of(model)

    def arm(self, model: str, version: str | None) -> Arm[LoadedVersion]:
        """The arm of a version, the champion for none; raise RefusalError when it is not loaded."""
        route = self.route(model)
        return arm_of_version(route, version) if version else route.champion

    @property
    def routes(self) -> list[LoadedRoute]:
        """The routes of what is served, by name."""
        return [self.route(model) for model in self.models]

    def pin(self, call: Call, version: str | None, named: str | None) -> None:
        """Pin the version in the path, or the arm that testers name in a header.

        Raises:
            RefusalError: the model or the arm is not loaded, or both name one.
        """
        if named is None:
            call.pinned = self.arm(call.model, version) if version else None
            return
        if version:
            raise InvalidRequestError(
                f"version {shown(version)} is named already: leave {ARM} out", ARM
            )
        call.pinned = self.intake.answering.arm(call.model, named)

    async def infer(self, call: Call, request: InferRequest) -> InferAnswer:
        """Answer a request; each of its rows is in the log when this returns.

        Raises:
            RefusalError: a row has no answer; others of the request may be in the log.
        """
        arm = call.pinned or self.route(call.model).champion
        refuse_extensions(request.parameters, "parameters")
        call.seconds = shortest(call.seconds, request.parameters.get("timeout"))
        require_outputs(request.outputs)
        signature = arm.version.signature
        asked = [each for each in signature.inputs if not each.stored]
        if not request.inputs:
            names = ", ".join(each.name for each in asked)
            raise InvalidRequestError(f"there are no inputs: send {names}", "inputs")
        rows = instances(request, asked, self.intake.limits.instances)
        for i, row in enumerate(rows):
            try:
                self.intake.check(row)
            except BadRequestError as error:
                raise BadRequestError(
                    error.code, f"row {i}: {error.message}", error.field
                ) from None
        self.intake.answering.require_room(call.model, len(rows))
        # They start in one turn of the event loop, so they share one batch.
        found = await asyncio.gather(
            *(self.intake.predict(call, row) for row in rows),
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
            model=call.model,
            version=versions.pop() if len(versions) == 1 else None,
            id=request.id,
            outputs=outputs(predictions, request.outputs),
        )
