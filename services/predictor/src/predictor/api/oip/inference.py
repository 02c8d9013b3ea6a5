"""Answers a request of the protocol, like any other: arms, features, log, limits."""

import asyncio
from collections.abc import Callable

from predictor.api.headers import ARM
from predictor.api.intake import Call, Intake
from predictor.api.oip.rows import check_outputs, instances, outputs
from predictor.api.oip.tensors import InferAnswer, InferRequest, check_parameters, shortest
from predictor.domain.errors import BadRequestError, RefusalError, shown
from predictor.domain.routing import Arm
from predictor.serving.answering import Prediction
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
        """The route of a model.

        Raises:
            CannotAnswerError: no model is loaded at all.
            UnknownModelError: others are, this one is not.
        """
        return self._routes().of(model)

    def arm(self, model: str, version: str | None) -> Arm[LoadedVersion]:
        """The arm of a version, the champion for none.

        Raises:
            CannotAnswerError: no model is loaded at all.
            UnknownModelError: the model or the version is not loaded.
        """
        route = self.route(model)
        return arm_of_version(route, version) if version else route.champion

    def pinned(
        self, model: str, version: str | None, named: str | None
    ) -> Arm[LoadedVersion] | None:
        """The arm of the version in the path, or of the name in the testers' header.

        Raises:
            CannotAnswerError: no model is loaded at all.
            UnknownModelError: the model or the arm is not loaded.
            BadRequestError: both name one.
        """
        if named is None:
            return self.arm(model, version) if version else None
        if version:
            raise BadRequestError(
                "invalid_request",
                f"version {shown(version)} is named already: leave {ARM} out",
                ARM,
            )
        return self.intake.answering.arm(model, named)

    async def infer(
        self,
        call: Call,
        model: str,
        pinned: Arm[LoadedVersion] | None,
        request: InferRequest,
    ) -> InferAnswer:
        """Answer a request; each of its rows is in the log when this returns.

        Without a pinned arm, the rollout chooses one for each row, by its entity.

        Raises:
            RefusalError: a row has no answer; others of the request may be in the log.
        """
        arm = pinned or self.route(model).champion
        check_parameters(request.parameters, "parameters")
        call.seconds = shortest(call.seconds, request.parameters.get("timeout"))
        check_outputs(request.outputs)
        signature = arm.version.signature
        asked = [each for each in signature.inputs if not each.stored]
        if not request.inputs:
            names = ", ".join(each.name for each in asked)
            raise BadRequestError("invalid_request", f"there are no inputs: send {names}", "inputs")
        rows = instances(request, asked, self.intake.limits.instances)
        for i, row in enumerate(rows):
            try:
                self.intake.check(row)
            except BadRequestError as error:
                raise BadRequestError(
                    error.code, f"row {i}: {error.message}", error.field
                ) from None
        self.intake.answering.make_room(model, len(rows))
        # They start in one turn of the event loop, so they share one batch.
        found = await asyncio.gather(
            *(self.intake.predict(call, model, row, pinned) for row in rows),
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
