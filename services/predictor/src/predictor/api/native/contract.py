"""What goes over HTTP: the request, the answer, the error."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from predictor.domain.errors import BadRequestError, shown

PREDICTION_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")


class InvalidRequestError(BadRequestError):
    """The request breaks the contract in a way that has no code of its own."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__("invalid_request", message, field)


class Instance(msgspec.Struct, forbid_unknown_fields=True):
    """One entity to be asked about."""

    entity_id: Annotated[
        str,
        Meta(
            description="What the prediction is about; it chooses the arm of a rollout, the same"
            " each time. At most 512 characters, unless the service is set otherwise.",
            examples=["UA1545-EWR-IAH-2013-07-01"],
        ),
    ]
    features: Annotated[
        dict[str, Any],
        Meta(
            description="The request features of the model, by name: JSON numbers, or strings for"
            " categories; a boolean or a number is the category that such a column of a dataset"
            " has, `true` or `7`. Whole numbers that find stored rows are exact. null is the same"
            " as leaving it out. GET /v1/models lists them.",
            extra_json_schema={
                "additionalProperties": {"type": ["number", "string", "boolean", "null"]},
                "examples": [{"carrier": "UA", "origin": "EWR", "dest": "IAH", "hour": 5}],
            },
        ),
    ]
    event_time: Annotated[
        datetime | None,
        Meta(
            description="When the prediction is asked for, RFC 3339 with an offset; default: now.",
            examples=["2013-07-01T05:15:00-04:00"],
        ),
    ] = None
    prediction_id: Annotated[
        str | None,
        Meta(
            description="Your key for this prediction: a request that is sent again with the same"
            " one is logged as the same prediction. Default: a new UUID.",
            examples=["ua1545-20130701"],
            extra_json_schema={"pattern": "^[A-Za-z0-9_.:-]{1,128}$"},
        ),
    ] = None


class PredictRequest(Instance, kw_only=True, forbid_unknown_fields=True):
    """Ask a model about one entity."""

    model: Annotated[str, Meta(description="Name of the model.", examples=["flight_delay"])]


class ManyRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Ask a model about some entities at once."""

    instances: Annotated[list[Instance], Meta(description="At most 256, unless set otherwise.")]


class _Answer(msgspec.Struct):
    """What every prediction says of itself."""

    prediction_id: Annotated[
        str, Meta(description="Names the prediction; labels are sent under it.")
    ]
    model: Annotated[str, Meta(description="Name of the model.")]
    version: Annotated[str, Meta(description="The version that answered.")]
    arm: Annotated[
        Literal["champion", "challenger"], Meta(description="The role in which it answered.")
    ]


class PredictAnswer(_Answer):
    """The prediction of a binary model; it was logged before it was sent."""

    prediction: Annotated[
        int | str,
        Meta(
            description="The class that is decided for: 1 from a score of 0.5 on, or where that is"
            " cheaper by the model's costs; its name where the model names its classes."
        ),
    ]
    score: Annotated[float, Meta(description="Probability of the positive class.", ge=0, le=1)]
    confidence: Annotated[
        float, Meta(description="Probability of the class that is decided for.", ge=0, le=1)
    ]
    latency_ms: Annotated[
        float, Meta(description="From the request's arrival to this answer, in milliseconds.")
    ]


class ClassAnswer(_Answer):
    """The prediction of a multiclass model; it was logged before it was sent."""

    prediction: Annotated[
        str, Meta(description="The likeliest class, or the cheapest by the model's costs.")
    ]
    scores: Annotated[dict[str, float], Meta(description="Probability of each class.")]
    confidence: Annotated[
        float, Meta(description="Probability of the class that is decided for.", ge=0, le=1)
    ]
    latency_ms: Annotated[
        float, Meta(description="From the request's arrival to this answer, in milliseconds.")
    ]


class NumberAnswer(_Answer):
    """The prediction of a regression; it was logged before it was sent."""

    prediction: Annotated[float, Meta(description="The number.")]
    latency_ms: Annotated[
        float, Meta(description="From the request's arrival to this answer, in milliseconds.")
    ]


OneAnswer = PredictAnswer | ClassAnswer | NumberAnswer
"""The prediction for one entity, by the task of its model."""


class ErrorDetail(msgspec.Struct, omit_defaults=True):
    """What went wrong."""

    code: Annotated[str, Meta(description="For programs.", examples=["missing_feature"])]
    message: Annotated[str, Meta(description="For people: what, and how to mend it.")]
    field: Annotated[
        str | None, Meta(description="Where in the request.", examples=["features.carrier"])
    ] = None


class FailedInstance(msgspec.Struct):
    """Stands for the prediction of an instance that got none."""

    error: ErrorDetail


class ManyAnswer(msgspec.Struct):
    """One item for each instance, in their order: its prediction, or its error."""

    predictions: Annotated[
        # msgspec tells structs in a union apart by a tag only, which callers need not see.
        list[Any],
        Meta(
            extra_json_schema={
                "items": {
                    "anyOf": [
                        {"$ref": "#/components/schemas/PredictAnswer"},
                        {"$ref": "#/components/schemas/ClassAnswer"},
                        {"$ref": "#/components/schemas/NumberAnswer"},
                        {"$ref": "#/components/schemas/FailedInstance"},
                    ]
                }
            }
        ),
    ]


class ErrorAnswer(msgspec.Struct):
    """Any answer that is not 200."""

    error: ErrorDetail


encode = msgspec.json.Encoder().encode
_decode_request = msgspec.json.Decoder(PredictRequest).decode
_decode_instance = msgspec.json.Decoder(Instance).decode
_decode_many = msgspec.json.Decoder(ManyRequest).decode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_NO_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_PATH = re.compile(r" - at `\$\.?(.*)`$")
_NAMED = re.compile(r"field `(.+)`")


class MalformedError(BadRequestError):
    """The body is no JSON, or not as long as it says."""

    def __init__(self, message: str) -> None:
        super().__init__("malformed_json", message)


T = TypeVar("T")


def decode_request(body: bytes) -> PredictRequest:
    """The body of `POST /predict`; raise BadRequestError when it breaks the contract."""
    return _decoded(_decode_request, body)


def decode_model_request(body: bytes) -> Instance | ManyRequest:
    """The body of `POST /v1/models/{model}/predict`: many when it has `instances`, else one.

    Raises:
        BadRequestError: it breaks the contract.
    """
    members = _decoded(_decode_members, body)
    return _decoded(_decode_many if "instances" in members else _decode_instance, body)


def _decoded(decode: Callable[[bytes], T], body: bytes) -> T:
    try:
        try:
            return decode(body)
        except msgspec.ValidationError as error:
            # It was raised as soon as something did not fit: what follows may be no JSON at all.
            raise _refusal(str(error), msgspec.json.decode(body)) from None
    except _NO_JSON as error:
        raise MalformedError(f"the body is no JSON: {error}") from None


def _refusal(text: str, given: Any) -> BadRequestError:
    """Name field, value and remedy; msgspec itself leaves the value out."""
    path = _PATH.search(text)
    message = _PATH.sub("", text)
    if path is None:
        named = _NAMED.search(text)
        return InvalidRequestError(message, named.group(1) if named else None)
    field = path.group(1)
    name = field.partition(".")[0].partition("[")[0]
    if isinstance(given, dict) and name in given:
        message = f"{message}, got {shown(given[name])}"
    return InvalidRequestError(f"{field}: {message}", field)


def check(request: Instance, now: datetime, ahead: float, max_entity: int) -> None:
    """Raise BadRequestError when a request breaks a limit that a type cannot state.

    Its time is in UTC afterwards, and lies at most `ahead` seconds in the future.
    """
    if not 1 <= len(request.entity_id) <= max_entity:
        raise InvalidRequestError(
            f"entity_id has {len(request.entity_id)} characters: send 1 to {max_entity}",
            "entity_id",
        )
    if request.prediction_id is not None and not PREDICTION_ID.fullmatch(request.prediction_id):
        raise InvalidRequestError(
            f"prediction_id {shown(request.prediction_id)}: send 1 to 128 of the characters"
            " A-Z a-z 0-9 _ . : -",
            "prediction_id",
        )
    if request.event_time is not None:
        request.event_time = _event_time(request.event_time, now, ahead)


def _event_time(given: datetime, now: datetime, ahead: float) -> datetime:
    if given.tzinfo is None:
        raise InvalidRequestError(
            f"event_time {given.isoformat()} has no offset: send e.g. {given.isoformat()}Z",
            "event_time",
        )
    try:
        moment = given.astimezone(UTC)
    except OverflowError:
        raise InvalidRequestError(
            f"event_time {given.isoformat()} lies outside the years 1 to 9999 in UTC", "event_time"
        ) from None
    if (moment - now).total_seconds() > ahead:
        raise InvalidRequestError(
            f"event_time {given.isoformat()} lies more than {ahead:g} s in the future: send the"
            " time of the request",
            "event_time",
        )
    return moment
