"""What the OpenAPI documents of both protocols have in common."""

from collections.abc import Iterable, Mapping
from typing import Any

from predictor.api.headers import ARM, PARAMETERS

Schema = dict[str, Any]

REFERENCES = "#/components/schemas/{name}"
FAILURES: Mapping[str, tuple[str, dict[str, str]]] = {
    "400": (
        "The body is no JSON.",
        {"code": "malformed_json", "message": "the body is no JSON: …"},
    ),
    "401": (
        f"{ARM} came without the service's token.",
        {
            "code": "override_unauthenticated",
            "message": f"{ARM} needs the predictor's OVERRIDE_TOKEN: send it as Authorization:"
            " Bearer",
            "field": "Authorization",
        },
    ),
    "403": (
        f"{ARM} is not taken by this service.",
        {
            "code": "override_off",
            "message": f"{ARM} is not taken here: leave it out, or set OVERRIDE_TOKEN of the"
            " predictor and send that as Authorization: Bearer",
            "field": ARM,
        },
    ),
    "404": (
        f"No such model; or no such arm, where {ARM} names one.",
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
    "415": (
        "The body is compressed.",
        {
            "code": "unsupported_encoding",
            "message": "Content-Encoding is 'gzip': compressed bodies are not read here: send the"
            " JSON as it is",
            "field": "Content-Encoding",
        },
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
"""By status, what it means and an example of its error."""


def json_content(schema: Schema, examples: Mapping[str, Any]) -> Schema:
    """A body in JSON, with examples by name."""
    named = {name: {"value": value} for name, value in examples.items()}
    return {"application/json": {"schema": schema, "examples": named}}


def post(
    *,
    tag: str,
    summary: str,
    description: str,
    name: str,
    path: Iterable[str] = (),
    request: Schema,
    answer: Schema,
    failures: Mapping[str, tuple[str, Schema]],
) -> Schema:
    """A path with one POST.

    Args:
        tag: under which documents show it.
        summary: one line.
        description: the whole.
        name: `operationId`.
        path: names of the parameters in the path.
        request: content of the request.
        answer: the response of status 200.
        failures: by status, what it means and the content of the response.
    """
    responses = {
        status: {"description": meaning, "content": content}
        for status, (meaning, content) in failures.items()
    }
    return {
        "post": {
            "tags": [tag],
            "summary": summary,
            "description": description,
            "operationId": name,
            "parameters": [*(_path_parameter(each) for each in path), *PARAMETERS],
            "requestBody": {"required": True, "content": request},
            "responses": {"200": answer, **responses},
        }
    }


def _path_parameter(name: str) -> Schema:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "schema": {"type": "string"},
        "example": {"model": "flight_delay", "version": "3"}[name],
    }
