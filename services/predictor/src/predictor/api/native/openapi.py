"""Puts the predictions, which FastAPI does not see, into its OpenAPI document."""

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from predictor.api.native.contract import (
    ClassAnswer,
    ErrorAnswer,
    FailedInstance,
    Instance,
    ManyAnswer,
    ManyRequest,
    NumberAnswer,
    PredictAnswer,
    PredictRequest,
)
from predictor.api.native.predict import PREDICT, PREDICT_MODEL
from predictor.api.oip.openapi import inference_paths
from predictor.api.openapi import FAILURES, REFERENCES, Schema, json_content, post

_INSTANCE = {
    "entity_id": "UA1545-EWR-IAH-2013-07-01",
    "features": {"carrier": "UA", "origin": "EWR", "dest": "IAH", "hour": 5, "distance": 1400},
    "event_time": "2013-07-01T05:15:00-04:00",
}
_ANSWERS = (
    "Answers with the version that the rollout in force names for the entity. Unless the service is"
    " set otherwise, the prediction is in the log (`prediction.logged`) before the answer is sent."
)
_ANSWER = {
    "prediction_id": "4f0c3a52-6a3f-4a52-9e7e-1b1b6f8f3d10",
    "model": "flight_delay",
    "version": "3",
    "arm": "champion",
    "prediction": 0,
    "score": 0.18,
    "confidence": 0.82,
    "latency_ms": 2.4,
}
_OF_ALL = {key: _ANSWER[key] for key in ("prediction_id", "model", "version", "arm")}
_EXAMPLES = {
    "one": _ANSWER,
    "multiclass": {
        **_OF_ALL,
        "model": "flight_outcome",
        "prediction": "on_time",
        "scores": {"cancelled": 0.02, "late": 0.18, "on_time": 0.8},
        "confidence": 0.8,
        "latency_ms": 2.4,
    },
    "regression": {**_OF_ALL, "model": "flight_minutes", "prediction": 12.5, "latency_ms": 2.4},
}


def document(app: FastAPI) -> Schema:
    """The OpenAPI document of the app, predictions and inference included."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
        )
        schemas = schema.setdefault("components", {}).setdefault("schemas", {})
        predictions, inference = _prediction_paths(schemas), inference_paths(schemas)
        schema["paths"] = {**predictions, **inference, **schema.get("paths", {})}
        app.openapi_schema = schema
    return app.openapi_schema


def _prediction_paths(schemas: Schema) -> Schema:
    """The paths of predictions; their components are added to those that are there."""
    one = [PredictAnswer, ClassAnswer, NumberAnswer]
    types = [PredictRequest, ErrorAnswer, Instance, ManyRequest, ManyAnswer, FailedInstance]
    (request, error, instance, many, answers, _, *of_tasks), components = (
        msgspec.json.schema_components([*types, *one], ref_template=REFERENCES)
    )
    answer = {"anyOf": of_tasks}
    schemas.update(components)
    failures = {
        status: (meaning, json_content(error, {"error": {"error": example}}))
        for status, (meaning, example) in FAILURES.items()
    }
    partly = {"predictions": [_ANSWER, {"error": FAILURES["422"][1]}]}
    return {
        PREDICT: post(
            tag="predictions",
            summary="Predict for one entity",
            description=_ANSWERS,
            name="predict",
            request=json_content(request, {"one": {"model": "flight_delay", **_INSTANCE}}),
            answer=_predicted(answer, _EXAMPLES),
            failures=failures,
        ),
        PREDICT_MODEL: post(
            tag="predictions",
            summary="Predict for one entity or for many",
            description=f"{_ANSWERS} Of many, each has its prediction or its error in the"
            " answer, in their order; a request that breaks the contract is refused as a whole.",
            name="predict_model",
            path=["model"],
            request=json_content(
                {"anyOf": [instance, many]},
                {"one": _INSTANCE, "many": {"instances": [_INSTANCE, _INSTANCE]}},
            ),
            answer=_predicted({"anyOf": [*of_tasks, answers]}, {**_EXAMPLES, "many": partly}),
            failures=failures,
        ),
    }


def _predicted(schema: Schema, examples: Schema) -> Schema:
    return {"description": "The prediction.", "content": json_content(schema, examples)}
