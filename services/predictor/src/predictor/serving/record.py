"""Numbers and encodes `prediction.logged`, without building its Pydantic model for each request.

The bytes mean the same as those of `servicekit.cloudevents.encode`; a test holds the two together.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any
from uuid import uuid4

import msgspec

from event_schemas import PredictionLogged
from predictor.domain.answer import NOTHING
from predictor.ports import Journal
from predictor.serving.prediction import Prediction
from servicekit.bus import Batch, Headers
from servicekit.clock import Clock
from servicekit.cloudevents import SPEC_VERSION
from servicekit.errors import ServicekitError
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
    """From `LoadedVersion.name_values`, or a dictionary."""
    score: float | None
    event_time: datetime
    latency: Latency
    error: str | None
    replica: str
    sequence: int
    scores: Mapping[str, float] | None = None
    prediction: float | str | None = None
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
    moment = now.astimezone(UTC).isoformat().replace("+00:00", "Z").encode()
    return Batch(_TOPIC, (*_FIXED, ("ce_time", moment)), entries)


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


class PredictionLog:
    """Numbers predictions, and gives their records to the journal.

    What challengers score in shadow has ids and numbers of its own, and no caller's time.
    """

    def __init__(self, journal: Journal, clock: Clock, *, shadow: bool = False) -> None:
        self._journal = journal
        self._clock = clock
        self._shadow = shadow
        self._replica = str(uuid4())
        """Names this process, and these numbers, in the log."""
        self.sequence = 0
        """Number of the next record; one that the journal does not take gives its number back."""

    def record(
        self,
        batch: Sequence[Prediction],
        on_done: Callable[[int, ServicekitError | None], None],
    ) -> int:
        """See `Journal.write`."""
        entries = self._entries(batch)
        self.sequence += len(batch)
        sent = self._journal.write(batch_of(entries, self._clock.now()), on_done)
        self.sequence -= len(batch) - sent
        return sent

    def _entries(self, batch: Sequence[Prediction]) -> list[Entry]:
        now = time.perf_counter()
        shadow, index = self._shadow, int(self._shadow)
        entries: list[Entry] = []
        for sequence, each in enumerate(batch, self.sequence):
            route, version, error = each.route, each.version, each.error
            of_arm = shared(
                route.model,
                version.version,
                "shadow" if shadow else each.arm.name,
                route.weight,
                route.salt,
                route.rollout_id,
            )
            decided = each.decision
            fields = version.answers.fields(each.answer, decided) if decided else NOTHING
            logged = Logged(
                prediction_id=each.prediction_id,
                entity=each.entity,
                features=version.name_values(each.row),
                score=fields.score,
                event_time=each.event_time,
                latency=Latency(
                    each.features_ms,
                    each.inference_ms,
                    each.features_ms + each.inference_ms if shadow else (now - each.arrived) * 1000,
                ),
                error=None if error is None else f"{error.code}: {error.message}",
                replica=self._replica,
                sequence=sequence,
                scores=fields.scores,
                prediction=fields.prediction,
                pinned=each.pinned,
                sampling_rate=each.sampling_rate,
                cache_hit=each.cached,
            )
            entries.append(entry(of_arm, logged, each.traceparent, index))
        return entries
