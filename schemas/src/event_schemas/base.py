"""What every event body is: a frozen model that knows its type, topic and key."""

from datetime import datetime
from typing import Annotated, ClassVar

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field


class Value(BaseModel):
    """A part of an event: frozen, and tolerant of fields that a newer writer added."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="null")


class EventBody(Value):
    """The body of an event.

    A subclass is named in the past tense and states as class attributes where it lives. The
    envelope around it (id, time, cause, trace) belongs to whoever carries it.
    """

    type: ClassVar[str]
    """CloudEvents type, e.g. `model.trained`; it is the topic's name as well."""

    key_field: ClassVar[str]
    """The field whose value is the Kafka key: events with one key keep their order."""

    compacted: ClassVar[bool] = False
    """Whether the topic keeps only the newest event of each key."""

    schema_version: ClassVar[int] = 1
    """Counts the additive changes of the body; `ce_dataschema` names it."""

    @classmethod
    def topic(cls) -> str:
        """Name of the Kafka topic."""
        return cls.type

    @property
    def key(self) -> str:
        """The Kafka key."""
        return str(getattr(self, self.key_field))


def _null_is_nan(value: object) -> object:
    return float("nan") if value is None else value


Timestamp = AwareDatetime
"""A point in time with its offset; written in UTC."""

Number = Annotated[float, BeforeValidator(_null_is_nan)]
"""A float whose NaN travels as JSON null, since JSON has no NaN."""

FeatureValue = float | str | None
"""A feature as a model sees it: a number, a category, or missing."""

Probability = Annotated[float, Field(ge=0.0, le=1.0)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.-]{0,62}$")]
"""Name of a model or a dataset: lower case, starts with a letter, at most 63 characters."""


class TimeRange(Value):
    """A half-open range of event time."""

    start: Timestamp
    """First point in time inside the range."""
    end: Timestamp
    """First point in time after the range."""

    def contains(self, moment: datetime) -> bool:
        """Whether `start <= moment < end`."""
        return self.start <= moment < self.end
