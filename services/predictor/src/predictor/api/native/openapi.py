"""Puts the predictions, which FastAPI does not see, into its OpenAPI document."""

from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from predictor.api.headers import HEADER, PARAMETER
from predictor.api.native.contract import (
    ErrorAnswer,
    FailedInstance,
    Instance,
    ManyAnswer,
    ManyRequest,
    PredictAnswer,
    PredictRequest,
)
from predictor.api.native.predict import PREDICT, PREDICT_MODEL
from predictor.api.oip.openapi import inference_paths
from predictor.api.timeouts import PARAMETER as TIMEOUT

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
_ERRORS: dict[str, tuple[str, dict[str, str]]] = {
    "400": (
        "The body is no JSON.",
        {"code": "malformed_json", "message": "the body is no JSON: …"},
    ),
    "401": (
        f"{HEADER} came without the service's token.",
        {
            "code": "override_unauthenticated",
            "message": f"{HEADER} needs the predictor's OVERRIDE_TOKEN: send it as Authorization:"
            " Bearer",
            "field": "Authorization",
        },
    ),
    "403": (
        f"{HEADER} is not taken by this service.",
        {
            "code": "override_off",
            "message": f"{HEADER} is not taken here: leave it out, or set OVERRIDE_TOKEN of the"
            " predictor and send that as Authorization: Bearer",
            "field": HEADER,
        },
    ),
    "404": (
        f"No such model; or no such arm, where {HEADER} names one.",
        {
            "code": "unknown_model",
            "message": "model 'flight' is not served here; known are flight_delay",
            "field": "model",
        },
    ),
    "413": (
        "The body is over the limit.",
        {"code": "body_too_large", "message": "the body is larger than 1048576 bytes"},
    ),
    "422": (
        "A field is missing, unknown, or of a wrong type.",
        {
            "code": "missing_feature",
            "message": "feature 'carrier' (category) is required: send it",
            "field": "features.carrier",
        },
    ),
    "429": (
        "The model has more than its share under way, and other models are to have room too."
        " Retry-After says when to try again.",
        {
            "code": "over_share",
            "message": "800 predictions of 'flight_delay' are under way, and other models are to"
            " have room too: try again in 1 s",
        },
    ),
    "500": (
        "The model broke on this row.",
        {"code": "model_failed", "message": "the model answered nan, which is no probability"},
    ),
    "503": (
        "Not now: no model yet, the feature store or the log is away, too many requests at once, or"
        " the deadline has passed. Retry-After says when to try again.",
        {"code": "no_model", "message": "no model is loaded yet: try again later"},
    ),
}


def document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of the app, `/predict` included."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title,
            version=app.version,
            description=app.description,
            routes=app.routes,
        )
        types = [PredictRequest, PredictAnswer, ErrorAnswer, Instance, ManyRequest, ManyAnswer]
        (request, answer, error, instance, many, answers, _), components = (
            msgspec.json.schema_components(
                [*types, FailedInstance], ref_template="#/components/schemas/{name}"
            )
        )
        schema.setdefault("components", {}).setdefault("schemas", {}).update(components)
        short = {
            "summary": "Predict for one entity",
            "description": _ANSWERS,
            "operationId": "predict",
            "parameters": [PARAMETER, TIMEOUT],
            "requestBody": _request(request, {"one": {"model": "flight_delay", **_INSTANCE}}),
            "responses": _responses(answer, {"one": _ANSWER}, error),
        }
        full = {
            "summary": "Predict for one entity or for many",
            "description": f"{_ANSWERS} Of many, each has its prediction or its error in the"
            " answer, in their order; a request that breaks the contract is refused as a whole.",
            "operationId": "predict_model",
            "parameters": [
                {
                    "name": "model",
                    "in": "path",
                    "required": True,
                    "schema": {"type": "string"},
                    "example": "flight_delay",
                },
                PARAMETER,
                TIMEOUT,
            ],
            "requestBody": _request(
                {"anyOf": [instance, many]},
                {"one": _INSTANCE, "many": {"instances": [_INSTANCE, _INSTANCE]}},
            ),
            "responses": _responses(
                {"anyOf": [answer, answers]},
                {
                    "one": _ANSWER,
                    "many": {"predictions": [_ANSWER, {"error": _ERRORS["422"][1]}]},
                },
                error,
            ),
        }
        schema["paths"] = {
            PREDICT: {"post": {"tags": ["predictions"], **short}},
            PREDICT_MODEL: {"post": {"tags": ["predictions"], **full}},
            **inference_paths(schema["components"]["schemas"]),
            **schema.get("paths", {}),
        }
        app.openapi_schema = schema
    return app.openapi_schema


def _request(schema: dict[str, Any], examples: dict[str, Any]) -> dict[str, Any]:
    return {"required": True, "content": _json(schema, examples)}


def _responses(
    answer: dict[str, Any], examples: dict[str, Any], error: dict[str, Any]
) -> dict[str, Any]:
    return {
        "200": {"description": "The prediction.", "content": _json(answer, examples)},
        **{
            status: {"description": text, "content": _json(error, {"error": {"error": example}})}
            for status, (text, example) in _ERRORS.items()
        },
    }


def _json(schema: dict[str, Any], examples: dict[str, Any]) -> dict[str, Any]:
    named = {name: {"value": value} for name, value in examples.items()}
    return {"application/json": {"schema": schema, "examples": named}}
