"""Encodes `prediction.logged`, without building its Pydantic model for each request.

The bytes mean the same as those of `servicekit.cloudevents.encode`; a test holds the two together.
"""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from event_schemas import PredictionLogged
from predictor.domain.features import Value
from servicekit.bus import Batch, Headers
from servicekit.cloudevents import SPEC_VERSION
from servicekit.event import derived_id

SOURCE = "/tailrace/predictor"


class Latency(msgspec.Struct):
    """See `event_schemas.prediction.Latency`."""

    features_ms: float
    inference_ms: float
    total_ms: float


class Logged(msgspec.Struct, omit_defaults=True):
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
    pinned: bool = False
    sampling_rate: float = 1.0
    cache_hit: bool = False


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

Entry = tuple[bytes, bytes, Headers]
"""A record of a batch."""


def batch_of(entries: Sequence[Entry], now: datetime) -> Batch:
    """The Kafka records of predictions, each a CloudEvent in binary mode.

    Args:
        entries: from `entry`.
        now: wall time, `ce_time` of them all.
    """
    time = now.astimezone(UTC).isoformat().replace("+00:00", "Z").encode()
    return Batch(_TOPIC, (*_FIXED, ("ce_time", time)), entries)


def entry(logged: Logged, traceparent: str | None, index: int = 0) -> Entry:
    """Key, value and own headers of a prediction's record.

    Args:
        logged: the body.
        traceparent: W3C trace context of the request.
        index: 0 for the answer; others tell events of the same prediction id apart.
    """
    key = logged.prediction_id.encode()
    event_id = derived_id(logged.prediction_id, PredictionLogged.type, index).encode()
    headers: Headers = (
        ("ce_id", event_id),
        ("ce_subject", key),
        ("ce_correlationid", event_id),
    )
    if traceparent is not None:
        headers = (*headers, ("traceparent", traceparent.encode()))
    return key, _encode(logged), headers
