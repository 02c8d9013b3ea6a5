"""Each inference, as it was answered."""

from typing import ClassVar, Literal

from pydantic import Field

from event_schemas.base import EventBody, FeatureValue, Name, Probability, Timestamp, Value

Arm = Literal["champion", "challenger", "shadow"]


class Latency(Value):
    """Where the time of one request went, in milliseconds."""

    features_ms: float = Field(default=0.0, ge=0)
    """Reading the features from the store, in milliseconds."""
    inference_ms: float = Field(default=0.0, ge=0)
    """Running the model, in milliseconds."""
    total_ms: float = Field(default=0.0, ge=0)
    """From the request's arrival to its score, in milliseconds; of a shadow, its own work alone."""


class PredictionLogged(EventBody):
    """A request was answered, or failed, by one arm."""

    type: ClassVar[str] = "prediction.logged"
    key_field: ClassVar[str] = "prediction_id"
    volume: ClassVar[bool] = True
    joined: ClassVar[bool] = True

    prediction_id: str = Field(min_length=1, max_length=128)
    """Chosen by the caller or made by the predictor; a repeated one is the same prediction. A
    shadow's is that of the answer whose row it scored, so one label is the truth about both."""
    model: Name
    """The model that was asked."""
    version: str
    """The version that answered."""
    arm: Arm
    """The role in which it answered; only a shadow's answer reaches nobody."""
    weight: Probability
    """Weight of the challenger in force."""
    salt: str
    """Salt of the rollout in force; with `weight` and `entity` it gives the arm again."""
    rollout_id: str
    """The rollout in force."""
    entity: str
    """What the prediction is about; it chose the arm."""
    features: dict[str, FeatureValue]
    """The features as the model saw them, defaults filled in."""
    score: float | None
    """Probability of the positive class; None when the request failed, and for another task."""
    scores: dict[str, Probability] | None = None
    """Probability of each class, of a multiclass model; None when the request failed."""
    prediction: float | str | None = None
    """The number that a regression answers, or the class that a multiclass model decides for; None
    when the request failed, and for a binary model."""
    event_time: Timestamp
    """When the prediction was asked for, in event time."""
    latency: Latency = Latency()
    """Where the time went."""
    cache_hit: bool = False
    """Whether the score came from the prediction cache, and not from a run of the model."""
    error: str | None = None
    """What went wrong; None when the request was answered."""
    replica: str
    """The process that answered; its sequence numbers are its own."""
    sequence: int = Field(ge=0)
    """Counts the predictions of the replica, so a reader sees what is missing."""
    sampling_rate: Probability = 1.0
    """Share of the version's predictions that is logged; this one stands for one over it."""
    pinned: bool = False
    """Whether the caller named the version; such a prediction says nothing about its arm."""
