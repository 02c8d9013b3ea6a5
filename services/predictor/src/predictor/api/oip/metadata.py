"""What the protocol says of the server and its models."""

import importlib.metadata
from typing import Any

from predictor.api.oip.rows import ABOUT, OUTPUTS, datatype_of
from predictor.domain.routing import Arm
from predictor.serving.routes.loaded import LoadedRoute, LoadedVersion

NAME = "tailrace-predictor"
VERSION = importlib.metadata.version("predictor")
EXTENSIONS = ["binary_tensor_data", "model_repository"]
PLATFORM = "onnxruntime_onnx"
NOTE = {"optional_inputs": ",".join(ABOUT)}
"""Tensors that a request may have as well, and whose absence no client must take for a fault."""


def server() -> dict[str, Any]:
    """Of `/v2`."""
    return {"name": NAME, "version": VERSION, "extensions": EXTENSIONS}


def model(route: LoadedRoute, arm: Arm[LoadedVersion]) -> dict[str, Any]:
    """Of one model: what a version takes and gives; stored features are not to be sent."""
    return {
        "name": route.model,
        "versions": [each.version for each in route.versions],
        "platform": PLATFORM,
        "inputs": [
            {"name": each.name, "datatype": datatype_of(each), "shape": [-1, 1]}
            for each in arm.version.signature.inputs
            if not each.stored
        ],
        "outputs": [{"name": name, "datatype": kind, "shape": [-1]} for name, kind in OUTPUTS],
        "properties": NOTE,
    }


def index(routes: list[LoadedRoute]) -> list[dict[str, str]]:
    """Of the repository: each loaded version."""
    return [
        {"name": route.model, "version": each.version, "state": "READY", "reason": ""}
        for route in routes
        for each in route.versions
    ]
