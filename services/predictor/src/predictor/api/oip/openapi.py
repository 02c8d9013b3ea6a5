"""The inference of the protocol in the OpenAPI document, which FastAPI does not see."""

import msgspec

from predictor.api.oip.body import WireAnswer, WireError, WireRequest
from predictor.api.oip.http import INFER, INFER_VERSION
from predictor.api.openapi import FAILURES, REFERENCES, Schema, json_content, post

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
_FAILURES = {
    "400": (
        "The request breaks the protocol, or the model's contract.",
        "feature 'carrier' (category) is required: send it",
    ),
    "404": (
        "No such model or version.",
        "model 'flight' is not served here; known are flight_delay",
    ),
    "500": ("The model broke on a row.", "the model answered nan, which is no probability"),
}
"""What these statuses mean here, and an example of their message."""
_INPUTS = (
    "A tensor of shape [n] or [n, 1] for each feature that does not come from the feature store;"
    " where all are numbers, or all categories, one of shape [n, features] will do. A tensor"
    " `entity_id`, or a parameter of the request, says what a row is about, and so chooses its arm;"
    " without one, `id` does. With `Inference-Header-Content-Length`, tensors may be binary."
)


def inference_paths(schemas: Schema) -> Schema:
    """The paths of inference; their components are added to those that are there."""
    (request, answer, error), components = msgspec.json.schema_components(
        [WireRequest, WireAnswer, WireError], ref_template=REFERENCES
    )
    schemas.update(components)
    failures = {
        status: (meaning, json_content(error, {"one": {"error": message}}))
        for status, (shared, detail) in FAILURES.items()
        if status not in ("415", "422")  # which are 400 in this protocol
        for meaning, message in (_FAILURES.get(status, (shared, detail["message"])),)
    }
    predictions = {
        "description": "The predictions as tensors.",
        "content": {
            **json_content(answer, {"one": _ANSWER}),
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
    }
    return {
        path: post(
            tag="open inference protocol",
            summary=f"Infer{summary}",
            description=f"{chooses} {_INPUTS}",
            name=name,
            path=parameters,
            request=json_content(request, {"one": _REQUEST}),
            answer=predictions,
            failures=failures,
        )
        for path, name, summary, parameters, chooses in (
            (INFER, "infer", "", ["model"], "The rollout in force chooses the version of a row."),
            (
                INFER_VERSION,
                "infer_version",
                " with a version",
                ["model", "version"],
                "The named version answers; its predictions are logged as pinned.",
            ),
        )
    }
