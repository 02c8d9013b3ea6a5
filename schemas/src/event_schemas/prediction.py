"""Each inference, as it was answered."""

from typing import ClassVar, Literal

from pydantic import Field

from event_schemas.base import EventBody, FeatureValue, Name, Probability, Timestamp, Value

Arm = Literal["champion", "challenger", "shadow"]


class Latency(Value):
    """Where the time of one request went, in milliseconds."""

    features_ms: float = Field(default=0.0, ge=0)
    inference_ms: float = Field(default=0.0, ge=0)
    total_ms: float = Field(default=0.0, ge=0)


class PredictionLogged(EventBody):
    """A request was answered, or failed, by one arm."""

    type: ClassVar[str] = "prediction.logged"
    key_field: ClassVar[str] = "prediction_id"

    prediction_id: str = Field(min_length=1, max_length=128)
    model: Name
    version: str
    arm: Arm
    weight: Probability
    """Weight of the challenger in force."""
    salt: str
    rollout_id: str
    entity: str
    """What the prediction is about; it chose the arm."""
    features: dict[str, FeatureValue]
    """The features as the model saw them, defaults filled in."""
    score: float | None
    """Probability of the positive class; None when the request failed."""
    event_time: Timestamp
    """When the prediction was asked for, in event time."""
    latency: Latency = Latency()
    cache_hit: bool = False
    error: str | None = None
    replica: str
    """The process that answered; its sequence numbers are its own."""
    sequence: int = Field(ge=0)
    """Counts the predictions of the replica, so a reader sees what is missing."""
    sampling_rate: Probability = 1.0
    """Share of the predictions that is logged."""
