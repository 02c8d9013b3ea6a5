"""What a run is judged on: what its client sent and was told, and what the platform holds of it.

Plain values, so that a test can plant a loss, a repeat or a wrong state in them.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple


class ArmKey(NamedTuple):
    """What the monitor counts apart: an arm of a version at one weight of a rollout, in a slice."""

    version: str
    arm: str
    rollout_id: str
    weight: float
    start: datetime


@dataclass(frozen=True, slots=True)
class Label:
    """The truth about a prediction, as it was handed over."""

    value: int
    observed_at: datetime


@dataclass
class Sent:
    """The client's journal. What is acknowledged must be found, once; nothing else may be."""

    asked: dict[str, datetime] = field(default_factory=dict)
    """Event time of each prediction that was asked for, by its id."""
    answered: set[str] = field(default_factory=set)
    """Predictions that were answered with 200."""
    requested: set[str] = field(default_factory=set)
    """Predictions that were asked for over Kafka, and the brokers acknowledged that."""
    labels: dict[str, set[Label]] = field(default_factory=dict)
    """Labels that were handed over, by prediction id."""
    acknowledged_labels: dict[str, set[Label]] = field(default_factory=dict)
    """Those that were acknowledged."""
    records: dict[str, set[str]] = field(default_factory=dict)
    """Ids of the records that were handed over, by dataset."""
    acknowledged_records: dict[str, set[str]] = field(default_factory=dict)
    """Those that were acknowledged, by the answer 202 or by the brokers."""
    requests: set[str] = field(default_factory=set)
    """Ids of acknowledged requests for retraining."""
    commands: set[str] = field(default_factory=set)
    """Who gave each acknowledged command to a rollout: a name of its own."""
    poison: set[bytes] = field(default_factory=set)
    """Values of messages that nobody can read."""
    answers: Counter[tuple[str, int]] = field(default_factory=Counter)
    """HTTP answers, by door and status."""
    unanswered: list[str] = field(default_factory=list)
    """Requests that were given up."""


@dataclass(frozen=True, slots=True)
class Logged:
    """A `prediction.logged`, in the order of its partition."""

    event_id: str
    prediction_id: str
    key: ArmKey
    score: float | None


@dataclass(frozen=True, slots=True)
class Measured:
    """The newest revision of an `arm.measured`."""

    revision: int
    n: int
    errors: int
    labelled: int
    positives: int
    loss: float


@dataclass(frozen=True, slots=True)
class Step:
    """A `rollout.step`; versions are named."""

    event_id: str
    rollout_id: str
    sequence: int
    phase: str
    champion: str
    challenger: str | None
    weight: float
    outcome: str
    reason: str


@dataclass(frozen=True, slots=True)
class Route:
    """Which versions of the model a predictor answers with, or what a state table says of it."""

    sequence: int
    phase: str
    champion: str
    challenger: str | None
    weight: float


@dataclass(frozen=True, slots=True)
class Decision:
    """A `retrain.decided`."""

    event_id: str
    request_id: str
    decision: str


@dataclass
class Found:
    """What topics, lake, registry and processes hold of one run."""

    logged: Sequence[Logged] = ()
    labels: Mapping[str, set[Label]] = field(default_factory=dict)
    """Labels on the bus, by prediction id."""
    measured: Mapping[ArmKey, Measured] = field(default_factory=dict)
    lake: Mapping[str, Counter[str]] = field(default_factory=dict)
    """Rows of each dataset's table, by the id of the record."""
    steps: Sequence[Step] = ()
    routes: Mapping[str, Route | None] = field(default_factory=dict)
    """What each predictor answers with; None when it knows nothing of the model."""
    kept: Route | None = None
    """The deployer's own state."""
    decisions: Sequence[Decision] = ()
    requests: frozenset[str] = frozenset()
    """Ids of all `retrain.requested`."""
    outcomes: Mapping[str, list[str]] = field(default_factory=dict)
    """Ids of `model.trained` and `training.failed`, by the decision that caused them."""
    judged: Mapping[str, set[str]] = field(default_factory=dict)
    """Ids of `model.approved` and `model.rejected`, by version."""
    trained: Mapping[str, set[str]] = field(default_factory=dict)
    """Ids of `model.trained`, by version."""
    runs: Mapping[str, int] = field(default_factory=dict)
    """Concluded runs of the registry that were not superseded, by request."""
    dead: Sequence[tuple[str, bytes, str]] = ()
    """Dead letters: service, value, reason."""
