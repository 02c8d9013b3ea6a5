"""The truth about a prediction, which comes late."""

from typing import Annotated, ClassVar

from pydantic import Field

from event_schemas.base import EventBody, Name, Timestamp


class LabelArrived(EventBody):
    """What really happened; a later label of the same prediction corrects an earlier one."""

    type: ClassVar[str] = "label.arrived"
    key_field: ClassVar[str] = "prediction_id"
    volume: ClassVar[bool] = True
    joined: ClassVar[bool] = True

    prediction_id: str = Field(min_length=1, max_length=128)
    """The prediction that this is the truth about."""
    model: Name
    """The model that made the prediction."""
    label: float | Annotated[str, Field(min_length=1, max_length=256)]
    """By the task of the model: 0 or 1 or the name of a class, the name of a class, or a number."""
    observed_at: Timestamp
    """Event time at which the truth became known."""
