"""What every event body is: a frozen model that knows its type, topic and key."""

import math
from datetime import UTC, datetime, timedelta
from typing import Annotated, ClassVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    JsonValue,
    PlainSerializer,
    WithJsonSchema,
)


class Value(BaseModel):
    """A part of an event: frozen, and tolerant of fields that a newer writer added."""

    # A plain float is finite: NaN needs a type that says what null means, and infinity has none.
    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        allow_inf_nan=False,
        ser_json_inf_nan="null",
        use_attribute_docstrings=True,
    )


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

    volume: ClassVar[bool] = False
    """Whether it grows with the traffic: it then has several partitions, and is kept for days."""

    joined: ClassVar[bool] = False
    """Whether a reader keeps state for each partition, so that the number of them is fixed."""

    schema_version: ClassVar[int] = 1
    """Counts the additive changes of the body; `ce_dataschema` names it."""

    @classmethod
    def topic(cls) -> str:
        """Name of the Kafka topic."""
        return cls.type

    @classmethod
    def data_schema(cls) -> str:
        """The name of the contract: `ce_dataschema` of the event, `$id` of its JSON Schema."""
        return f"urn:tailrace:event:{cls.type}:v{cls.schema_version}"

    @property
    def key(self) -> str:
        """The Kafka key."""
        return str(getattr(self, self.key_field))


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{moment.isoformat()} lies outside the years 1 to 9999 in UTC") from None


def _in_days(duration: timedelta) -> str:
    hours, rest = divmod(duration.seconds, 3600)
    seconds = f"{rest}.{duration.microseconds:06d}".rstrip("0").rstrip(".")
    date = f"{duration.days}D" if duration.days else ""
    clock = (f"{hours}H" if hours else "") + (f"{seconds}S" if seconds != "0" else "")
    return f"P{date}T{clock}" if clock else f"P{date or '0D'}"


def _null_is_nan(value: object) -> object:
    return math.nan if value is None else value


def _nan_is_none(value: object) -> object:
    return None if isinstance(value, float) and math.isnan(value) else _finite(value)


def _finite(value: object) -> object:
    if isinstance(value, float) and math.isinf(value):
        raise ValueError("infinity has no place in JSON: send a number, or null for none")
    return value


def _json_columns(value: object) -> object:
    if isinstance(value, dict):
        return {name: _json_columns(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_json_columns(part) for part in value]
    return _nan_is_none(value)


Timestamp = Annotated[AwareDatetime, AfterValidator(_in_utc)]
"""A point in time; it needs an offset, and is held and written in UTC."""

Duration = Annotated[
    timedelta,
    Field(ge=timedelta(0)),
    # Pydantic would write 365 days as `P1Y`, and a calendar's year has 366 at times.
    PlainSerializer(_in_days, when_used="json"),
    WithJsonSchema({"type": "string", "format": "duration"}),
]
"""A length of time, never negative; written in ISO 8601 with days, hours and seconds."""

_AnyFloat = Annotated[float, Field(allow_inf_nan=True)]
_NUMBER_OR_NULL = {"anyOf": [{"type": "number"}, {"type": "null"}]}

Number = Annotated[
    _AnyFloat,
    BeforeValidator(_null_is_nan),
    AfterValidator(_finite),
    WithJsonSchema(_NUMBER_OR_NULL),
]
"""A float whose NaN travels as JSON null, since JSON has no NaN; infinity is refused."""

OptionalNumber = Annotated[
    _AnyFloat | None, AfterValidator(_nan_is_none), WithJsonSchema(_NUMBER_OR_NULL)
]
"""A float that may be missing. NaN becomes None at once: it would come back as None anyway."""

FeatureValue = Annotated[_AnyFloat | str | None, AfterValidator(_nan_is_none)]
"""A feature as a model sees it: a number, a category, or missing (None; NaN becomes None)."""

RequestValue = Annotated[bool | int | _AnyFloat | str | None, AfterValidator(_nan_is_none)]
"""A feature as a caller sends it: whole numbers stay exact, since they may find stored rows."""

Columns = Annotated[dict[str, JsonValue], BeforeValidator(_json_columns)]
"""Columns of a row, by name: whatever JSON can hold; NaN becomes null, infinity is refused."""

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
