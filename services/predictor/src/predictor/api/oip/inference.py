"""Answers a request of the protocol, like any other: arms, features, log, limits."""

import importlib.metadata
import json
from collections.abc import Callable
from functools import partial
from typing import Any

from event_schemas.task import Target
from predictor.api.headers import ARM
from predictor.api.intake import Call, Intake
from predictor.api.native.contract import InvalidRequestError
from predictor.api.native.endpoint import status_of
from predictor.api.oip.rows import (
    ABOUT,
    datatype_of,
    instances,
    outputs,
    outputs_of,
    require_outputs,
)
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

NAME = "tailrace-predictor"
VERSION = importlib.metadata.version("predictor")
EXTENSIONS = ["binary_tensor_data", "model_repository"]
PLATFORM = "onnxruntime_onnx"
NOTE = {"optional_inputs": ",".join(ABOUT)}
"""Tensors that a request may have as well, and whose absence no client must take for a fault."""


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

    def server(self) -> dict[str, Any]:
        """What the protocol says of the server."""
        return {"name": NAME, "version": VERSION, "extensions": EXTENSIONS}

    def metadata(self, model: str, version: str | None) -> dict[str, Any]:
        """What a version takes and gives; stored features are not to be sent."""
        route, arm = self.route(model), self.arm(model, version)
        signature, target = arm.version.signature, arm.version.target
        return {
            "name": model,
            "versions": [each.version for each in route.versions],
            "platform": PLATFORM,
            "inputs": [
                {
                    "name": each.name,
                    "datatype": datatype_of(each, signature.keys),
                    "shape": [-1, 1],
                }
                for each in signature.inputs
                if not each.stored
            ],
            "outputs": [
                {
                    "name": each.name,
                    "datatype": each.datatype,
                    "shape": [-1] if each.width is None else [-1, each.width],
                }
                for each in outputs_of(target)
            ],
            "properties": {**NOTE, **_properties(target)},
        }

    def index(self) -> list[dict[str, str]]:
        """Each loaded version."""
        return [
            {"name": model, "version": each.version, "state": "READY", "reason": ""}
            for model in self.models
            for each in self.route(model).versions
        ]

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
        target = arm.version.target
        require_outputs(request.outputs, target)
        signature = arm.version.signature
        asked = [each for each in signature.inputs if not each.stored]
        if not request.inputs:
            names = ", ".join(each.name for each in asked)
            raise InvalidRequestError(f"there are no inputs: send {names}", "inputs")
        rows = instances(request, asked, self.intake.limits.instances, signature.keys)
        for i, row in enumerate(rows):
            try:
                self.intake.check(row)
            except BadRequestError as error:
                raise BadRequestError(
                    error.code, f"row {i}: {error.message}", error.field
                ) from None
        self.intake.answering.require_room(call.model, len(rows))
        questions = [partial(self.intake.submit, call, row) for row in rows]
        found = await self.intake.answering.answer_all(questions)
        for i, each in enumerate(found):
            trouble = each.trouble if isinstance(each, Prediction) else each
            if isinstance(trouble, RefusalError) and len(rows) > 1:
                trouble.message = f"row {i}: {trouble.message}"
            if trouble is not None:
                raise trouble
        predictions = [each for each in found if isinstance(each, Prediction)]
        versions = {each.version.version for each in predictions}
        return InferAnswer(
            model=call.model,
            version=versions.pop() if len(versions) == 1 else None,
            id=request.id,
            outputs=outputs(predictions, request.outputs, target),
        )


def _properties(target: Target) -> dict[str, str]:
    """What tells the columns of `probabilities` apart."""
    classes = {"classes": json.dumps(target.classes)} if target.classes else {}
    return {"task": target.task, **classes}


def http_status(refusal: RefusalError) -> int:
    """The status of `status_of`, but 400 for 422, which clients of the protocol do not know."""
    status = status_of(refusal)
    return 400 if status == 422 else status
