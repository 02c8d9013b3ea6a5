"""The inference of the protocol in the OpenAPI document, which FastAPI does not see."""

from typing import Any

import msgspec

from predictor.api.headers import HEADER, PARAMETER
from predictor.api.oip.body import WireAnswer, WireError, WireRequest
from predictor.api.oip.http import INFER, INFER_VERSION
from predictor.api.timeouts import PARAMETER as TIMEOUT

_REQUEST = {
    "id": "UA1545-EWR-IAH-2013-07-01",
    "inputs": [
        {"name": "carrier", "datatype": "BYTES", "shape": [1], "data": ["UA"]},
        {"name": "origin", "datatype": "BYTES", "shape": [1], "data": ["EWR"]},
        {"name": "hour", "datatype": "FP64", "shape": [1], "data": [5]},
    ],
    "outputs": [{"name": "prediction"}, {"name": "probability"}],
}
_ANSWER = {
    "model_name": "flight_delay",
    "model_version": "3",
    "id": "UA1545-EWR-IAH-2013-07-01",
    "outputs": [
        {"name": "prediction", "datatype": "INT64", "shape": [1], "data": [0]},
        {"name": "probability", "datatype": "FP64", "shape": [1], "data": [0.18]},
    ],
}
_ERRORS = {
    "400": (
        "The request breaks the protocol, or the model's contract.",
        "feature 'carrier' (category) is required: send it",
    ),
    "401": (
        f"{HEADER} came without the service's token.",
        f"{HEADER} needs the predictor's OVERRIDE_TOKEN: send it as Authorization: Bearer",
    ),
    "403": (
        f"{HEADER} is not taken by this service.",
        f"{HEADER} is not taken here: leave it out, or set OVERRIDE_TOKEN of the predictor and send"
        " that as Authorization: Bearer",
    ),
    "404": (
        "No such model or version.",
        "model 'flight' is not served here; known are flight_delay",
    ),
    "413": ("The body is over the limit.", "the body is larger than 1048576 bytes"),
    "429": (
        "The model has more than its share under way, and other models are to have room too."
        " Retry-After says when to try again.",
        "800 predictions of 'flight_delay' are under way, and other models are to have room too:"
        " try again in 1 s",
    ),
    "500": (
        "The model broke on a row.",
        "the model answered nan, which is no probability",
    ),
    "503": (
        "Not now: no model yet, the feature store or the log is away, too many requests at once, or"
        " the deadline has passed. Retry-After says when to try again.",
        "no model is loaded yet: try again later",
    ),
}
_TELLS = (
    "A tensor of shape [n] or [n, 1] for each feature that does not come from the feature store;"
    " where all are numbers, or all categories, one of shape [n, features] will do. A tensor"
    " `entity_id`, or a parameter of the request, says what a row is about, and so chooses its arm;"
    " without one, `id` does. With `Inference-Header-Content-Length`, tensors may be binary."
)


def inference_paths(schemas: dict[str, Any]) -> dict[str, Any]:
    """The paths of inference; their components are added to those that are there."""
    (request, answer, error), components = msgspec.json.schema_components(
        [WireRequest, WireAnswer, WireError], ref_template="#/components/schemas/{name}"
    )
    schemas.update(components)
    responses = {
        "200": {
            "description": "The predictions as tensors.",
            "content": {
                **_json(answer, _ANSWER),
                "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            },
        },
        **{
            status: {"description": text, "content": _json(error, {"error": example})}
            for status, (text, example) in _ERRORS.items()
        },
    }
    return {
        path: {
            "post": {
                "tags": ["open inference protocol"],
                "summary": f"Infer{summary}",
                "description": f"{chooses} {_TELLS}",
                "operationId": name,
                "parameters": [*(_path(each) for each in parameters), PARAMETER, TIMEOUT],
                "requestBody": {"required": True, "content": _json(request, _REQUEST)},
                "responses": responses,
            }
        }
        for path, name, summary, parameters, chooses in (
            (INFER, "infer", "", ("model",), "The rollout in force chooses the version of a row."),
            (
                INFER_VERSION,
                "infer_version",
                " with a version",
                ("model", "version"),
                "The named version answers; its predictions are logged as pinned.",
            ),
        )
    }


def _path(name: str) -> dict[str, Any]:
    example = {"model": "flight_delay", "version": "3"}[name]
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": {"type": "string"},
        "example": example,
    }


def _json(schema: dict[str, Any], example: Any) -> dict[str, Any]:
    return {"application/json": {"schema": schema, "examples": {"one": {"value": example}}}}
