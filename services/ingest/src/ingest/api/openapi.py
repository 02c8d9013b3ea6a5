"""How requests and answers are described in the OpenAPI document.

The routes read the bodies themselves, which for a large batch is many times faster.
"""

from typing import Any

_TIME = {"type": "string", "format": "date-time", "description": "RFC 3339, with an offset"}


def _text(longest: int) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": longest}


def _list_of(name: str, properties: dict[str, Any], example: dict[str, Any]) -> dict[str, Any]:
    item = {"type": "object", "required": list(properties), "properties": properties}
    schema = {
        "type": "object",
        "required": [name],
        "properties": {name: {"type": "array", "minItems": 1, "items": item}},
    }
    content = {"application/json": {"schema": schema, "example": {name: [example]}}}
    return {"required": True, "content": content}


RECORDS = _list_of(
    "records",
    {
        "entity": _text(512),
        "event_time": _TIME,
        "record": {
            "type": "object",
            "description": "The columns by name, see GET /v1/datasets",
            "additionalProperties": True,
        },
    },
    {
        "entity": "JFK",
        "event_time": "2013-01-01T10:00:00Z",
        "record": {"origin": "JFK", "temp": 39.0, "wind_speed": 12.7},
    },
)

LABELS = _list_of(
    "labels",
    {
        "prediction_id": _text(128),
        "model": {"type": "string"},
        "label": {
            "description": "By the model's task: 0 or 1 or the name of a class, or a number",
            "anyOf": [{"type": "number"}, _text(256)],
        },
        "observed_at": _TIME,
    },
    {
        "prediction_id": "UA1545-20130101-EWR",
        "model": "flight_delay",
        "label": 1,
        "observed_at": "2013-01-01T15:20:00Z",
    },
)


def _answer(description: str, example: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"example": example}}}


RESPONSES: dict[int | str, dict[str, Any]] = {
    202: _answer("The broker has acknowledged all", {"accepted": 1}),
    400: _answer("No JSON", {"detail": "the body is no JSON (…): send {…} in UTF-8"}),
    404: _answer("Unknown dataset", {"detail": "dataset 'x' has no contract; known are: weather"}),
    413: _answer("Body too large", {"detail": "the body is larger than 8388608 bytes …"}),
    415: _answer("Compressed body", {"detail": "content-encoding: 'gzip': compressed bodies …"}),
    422: _answer(
        "Items are missing or wrong; nothing was taken",
        {
            "detail": "records[3].event_time = '10:00': it cannot be read as a time; send …",
            "faults": [
                {
                    "index": 3,
                    "field": "event_time",
                    "value": "'10:00'",
                    "problem": "it cannot be read as a time",
                    "remedy": "send RFC 3339 with an offset, e.g. 2013-01-01T10:00:00Z",
                }
            ],
        },
    ),
    503: _answer("The broker is away or its queue is full; see Retry-After", {"detail": "…"}),
}
