"""Records on their way in."""

from typing import ClassVar

from pydantic import Field

from event_schemas.base import Columns, EventBody, Name, Timestamp


class RecordReceived(EventBody):
    """Somebody handed over one record of a dataset; nobody has checked it yet."""

    type: ClassVar[str] = "record.received"
    key_field: ClassVar[str] = "entity"
    volume: ClassVar[bool] = True

    dataset: Name
    """The dataset that the record claims to belong to."""
    entity: str = Field(min_length=1, max_length=512)
    """What the record is about; records of one entity keep their order."""
    event_time: Timestamp
    """When it happened in the world."""
    record: Columns
    """The columns as they came in."""
