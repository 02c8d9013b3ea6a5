"""Predictions that are asked for over Kafka."""

from typing import ClassVar

from pydantic import Field

from event_schemas.base import EventBody, Name, RequestValue, Timestamp


class ScoreRequested(EventBody):
    """Somebody asks a model about one entity, and reads the answer in `prediction.logged`."""

    type: ClassVar[str] = "score.requested"
    key_field: ClassVar[str] = "entity"
    volume: ClassVar[bool] = True

    prediction_id: str = Field(pattern=r"^[A-Za-z0-9_.:-]{1,128}$")
    """Names the prediction, in the answer and for labels. One that is asked for again is the same
    prediction."""
    model: Name
    """The model that is asked."""
    entity: str = Field(min_length=1, max_length=512)
    """What the prediction is about; it chooses the arm of a rollout, the same each time. Requests
    about one entity are answered in their order."""
    features: dict[str, RequestValue]
    """The request features of the model, by name; None is the same as leaving it out."""
    event_time: Timestamp
    """When the prediction is asked for, in event time."""
