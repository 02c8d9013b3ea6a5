"""Encodes `prediction.logged`, without building its Pydantic model for each request.

The bytes mean the same as those of `servicekit.cloudevents.encode`; a test holds the two together.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

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


class Shared(msgspec.Struct):
    """The fields of `PredictionLogged` that all predictions of an arm have in common."""

    model: str
    version: str
    arm: str
    weight: float
    salt: str
    rollout_id: str


class Logged(msgspec.Struct, omit_defaults=True):
    """The fields of `PredictionLogged` that each prediction has for itself."""

    prediction_id: str
    entity: str
    features: Any
    """From `naming`, or a dictionary."""
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


@lru_cache(maxsize=256)
def naming(names: tuple[str, ...]) -> Callable[[Sequence[Value]], Any]:
    """What gives the values of a model's inputs their names for the log; no values have none.

    A structure is made and encoded in half the time of a dictionary. The versions of a model mostly
    have the same inputs, and so the same structure: a type that is dropped is never freed once it
    was frozen (`gc.freeze`).
    """
    fields = [f"f{number}" for number in range(len(names))]
    try:
        named = msgspec.defstruct("Features", fields, rename=dict(zip(fields, names, strict=True)))
    except ValueError:  # a name that JSON has to escape
        return lambda row: dict(zip(names, row, strict=False))
    return lambda row: named(*row) if row else {}


@lru_cache(maxsize=256)
def shared(model: str, version: str, arm: str, weight: float, salt: str, rollout_id: str) -> bytes:
    """The JSON of `Shared`, open at its end: an arm has the same for each of its predictions."""
    return _encode(Shared(model, version, arm, weight, salt, rollout_id))[:-1] + b","


def entry(shared: bytes, logged: Logged, traceparent: str | None, index: int = 0) -> Entry:
    """Key, value and own headers of a prediction's record.

    Args:
        shared: from `shared`.
        logged: the rest of the body.
        traceparent: W3C trace context of the request.
        index: 0 for the answer, whose event has the id of its prediction; others tell events of the
            same prediction apart.
    """
    key = event_id = logged.prediction_id.encode()
    if index:
        event_id = derived_id(logged.prediction_id, PredictionLogged.type, index).encode()
    headers: Headers = (
        ("ce_id", event_id),
        ("ce_subject", key),
        ("ce_correlationid", event_id),
    )
    if traceparent is not None:
        headers = (*headers, ("traceparent", traceparent.encode()))
    return key, shared + _encode(logged)[1:], headers
