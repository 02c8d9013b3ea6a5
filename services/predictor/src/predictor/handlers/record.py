"""Encodes `prediction.logged`, without building its Pydantic model for each request.

The bytes mean the same as those of `servicekit.cloudevents.encode`; a test holds the two together.
"""

from datetime import UTC, datetime

import msgspec

from event_schemas import PredictionLogged
from predictor.domain.features import Value
from servicekit.bus import Record
from servicekit.cloudevents import SPEC_VERSION
from servicekit.event import derived_id

SOURCE = "/tailrace/predictor"


class Latency(msgspec.Struct):
    """See `event_schemas.prediction.Latency`."""

    features_ms: float
    inference_ms: float
    total_ms: float


class Logged(msgspec.Struct):
    """The fields of `PredictionLogged`, as far as the predictor sets them."""

    prediction_id: str
    model: str
    version: str
    arm: str
    weight: float
    salt: str
    rollout_id: str
    entity: str
    features: dict[str, Value]
    score: float | None
    event_time: datetime
    latency: Latency
    error: str | None
    replica: str
    sequence: int


_encode = msgspec.json.Encoder().encode
_TOPIC = PredictionLogged.topic()
_FIXED = (
    ("ce_specversion", SPEC_VERSION.encode()),
    ("ce_type", PredictionLogged.type.encode()),
    ("ce_source", SOURCE.encode()),
    ("ce_dataschema", PredictionLogged.data_schema().encode()),
    ("content-type", b"application/json"),
    ("ce_hops", b"0"),
)


def wall_time(now: datetime) -> bytes:
    """`ce_time` of records that are made together."""
    return now.astimezone(UTC).isoformat().replace("+00:00", "Z").encode()


def prediction_record(logged: Logged, time: bytes, traceparent: str | None) -> Record:
    """The Kafka record of a prediction, a CloudEvent in binary mode.

    Args:
        logged: the body.
        time: from `wall_time`.
        traceparent: W3C trace context of the request.
    """
    key = logged.prediction_id.encode()
    event_id = derived_id(logged.prediction_id, PredictionLogged.type).encode()
    headers = (
        *_FIXED,
        ("ce_id", event_id),
        ("ce_time", time),
        ("ce_subject", key),
        ("ce_correlationid", event_id),
    )
    if traceparent is not None:
        headers = (*headers, ("traceparent", traceparent.encode()))
    return Record(_TOPIC, key, _encode(logged), headers)
