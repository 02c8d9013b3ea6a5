"""How each arm did, over one window."""

from typing import ClassVar

from pydantic import Field

from event_schemas.base import EventBody, Name, Number, Probability, TimeRange, Value
from event_schemas.prediction import Arm


class ScoreSketch(Value):
    """Distribution of the answers.

    Of a binary model, scores in equal bins over [0, 1]; of a multiclass one, decisions by class
    in the version's order; of a regression, numbers between `edges`.
    """

    counts: tuple[int, ...]
    """Answers in each bin, lowest bin first; the last one of scores includes 1."""
    edges: tuple[float, ...] = ()
    """Of a regression: upper ends of all bins but the last, ascending, each outside of its bin."""

    @property
    def n(self) -> int:
        """Number of scores."""
        return sum(self.counts)


class RealisedLoss(Value):
    """Loss over the predictions whose label has come, as sufficient statistics."""

    n: int = Field(default=0, ge=0)
    """Predictions whose label has come."""
    total: Number = 0.0
    """Sum of the losses, as the version names them; probabilities of a log-loss, in nats, are
    clipped to [1e-6, 1 - 1e-6]."""
    total_squared: Number = 0.0
    """Sum of their squares."""
    positives: int = Field(default=0, ge=0)
    """Labels that are the positive class; 0 for a task that has none."""


class ArmMeasured(EventBody):
    """One arm, one version, one window of event time; a higher revision replaces a lower one."""

    type: ClassVar[str] = "arm.measured"
    key_field: ClassVar[str] = "model"

    model: Name
    """The model under measurement."""
    version: str
    """The version that answered in this arm."""
    arm: Arm
    """The arm that was measured."""
    rollout_id: str
    """The rollout in force."""
    weight: Probability
    """Weight of the challenger while these predictions were made."""
    window: TimeRange
    """Event time of the predictions."""
    revision: int = Field(default=0, ge=0)
    """Late labels measure a window again."""
    n: int = Field(ge=0)
    """Predictions, failed ones included."""
    errors: int = Field(default=0, ge=0)
    """Predictions that failed."""
    latency_ms: dict[str, float] = Field(default_factory=dict)
    """Quantiles of the total latency: `p50`, `p95`, `p99`."""
    scores: ScoreSketch
    """Distribution of the scores of the answered predictions."""
    loss: RealisedLoss = RealisedLoss()
    """Loss as far as the labels have come."""
    label_maturity: Probability = 0.0
    """Share of the answered predictions whose label has come."""
    coverage: Probability = 1.0
    """Received over sent, by the replicas' sequence numbers; what is not to be logged has none."""
    sampling_rate: Probability = 1.0
    """Share of the predictions that was to be logged: `n / sampling_rate` were made. Rates and
    means need no weight, since each prediction had the same chance."""
