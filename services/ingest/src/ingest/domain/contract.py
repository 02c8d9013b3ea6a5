"""The contract of a dataset: which columns a record has, and what they may hold.

Coercions, and there are no others:

* an integer where a number is asked becomes a float; `3.0` where an integer is asked becomes 3
  (JSON knows one kind of number);
* an RFC 3339 text with an offset becomes a point in time in UTC where a timestamp is asked;
* null, and NaN (which JSON cannot hold), are a missing value.

A point in time lies between 1900 and 2100, unless its column has other limits: one that nobody set,
or a typo of a century, would decide which rows a training holds out.

A numeric text is no number, a boolean is no number, and infinity is refused.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

Kind = Literal["string", "number", "integer", "boolean", "timestamp"]
KINDS: tuple[Kind, ...] = ("string", "number", "integer", "boolean", "timestamp")
RESERVED = ("event_id", "entity", "event_time", "ingested_at")
"""Columns that every table has beside those of the contract."""

EARLIEST = datetime(1900, 1, 1, tzinfo=UTC)
LATEST = datetime(2100, 1, 1, tzinfo=UTC)
"""Limits of points in time whose column names none."""

_INT64 = range(-(2**63), 2**63)
MAX_EXAMPLE = 120
"""Characters of an offending value that are kept."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One way in which a record breaks its contract."""

    column: str | None
    rule: str
    value: str
    """The offending value, as text."""


@dataclass(frozen=True, slots=True)
class Column:
    """What one column may hold."""

    name: str
    kind: Kind
    required: bool = False
    minimum: float | datetime | None = None
    maximum: float | datetime | None = None
    allowed: frozenset[Any] | None = None

    @property
    def limits(self) -> tuple[Any, Any]:
        """The least and the largest value; None where there is none."""
        if self.kind != "timestamp":
            return self.minimum, self.maximum
        return self.minimum or EARLIEST, self.maximum or LATEST


@dataclass(frozen=True)
class Contract:
    """What records of a dataset look like."""

    dataset: str
    columns: tuple[Column, ...]
    version: str
    """Changes with the contract's content."""
    entity_column: str | None = None
    """Column that says again what the record is about."""
    event_time_column: str | None = None
    """Column that says again when it happened."""
    unknown_columns: Literal["refuse", "drop"] = "refuse"
    """Whether a record with a column of no contract is refused, or stored without the column."""
    feature_view: str | None = None
    """Feast push source, or feature view, that takes the rows as well."""
    description: str = ""
    names: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", frozenset(column.name for column in self.columns))

    def check(
        self,
        entity: str,
        event_time: datetime,
        record: Mapping[str, Any],
        *,
        max_unknown: int = 200,
    ) -> tuple[dict[str, Any], list[Fault]]:
        """The record's columns as the table holds them, and every fault.

        Of columns that the contract does not know, the first `max_unknown` are a fault each.

        The columns are complete (None where missing) when there is no fault.
        """
        values: dict[str, Any] = {}
        faults: list[Fault] = []
        for column in self.columns:
            value = record.get(column.name)
            if value is None or value != value:
                values[column.name] = None
                if column.required:
                    faults.append(Fault(column.name, "required", _text(value)))
                continue
            try:
                held = _READ[column.kind](value)
            except _RefusedError as refused:
                faults.append(Fault(column.name, refused.rule, _text(value)))
                continue
            values[column.name] = held
            low, high = column.limits
            if low is not None and held < low:
                faults.append(Fault(column.name, "minimum", _text(value)))
            if high is not None and held > high:
                faults.append(Fault(column.name, "maximum", _text(value)))
            if column.allowed is not None and held not in column.allowed:
                faults.append(Fault(column.name, "allowed", _text(value)))
        if self.unknown_columns == "refuse" and not record.keys() <= self.names:
            unknown = [name for name in record if name not in self.names]
            faults += [
                Fault(_text(name), "unknown_column", _text(record[name]))
                for name in unknown[:max_unknown]
            ]
            if len(unknown) > max_unknown:
                more = f"{len(unknown) - max_unknown} more"
                faults.append(Fault(None, "unknown_columns", more))
        if event_time < EARLIEST:
            faults.append(Fault("event_time", "minimum", event_time.isoformat()))
        for rule, name, said in (
            ("entity", self.entity_column, entity),
            ("event_time", self.event_time_column, event_time),
        ):
            if name is not None and values.get(name) not in (None, said):
                faults.append(Fault(name, rule, _text(record[name])))
        return values, faults


class _RefusedError(Exception):
    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


def why_not_now(before: Contract | None, after: Contract) -> str | None:
    """Why a contract that changed cannot count at once; None: it can."""
    view = before.feature_view if before is not None else None
    if after.feature_view != view:
        return (
            f"feature_view is {after.feature_view!r} and was {view!r}: features are defined at a"
            " start; restart ingest"
        )
    if before is None:
        return None
    kinds = {column.name: column.kind for column in before.columns}
    for column in after.columns:
        if (kind := kinds.get(column.name, column.kind)) != column.kind:
            return (
                f"columns.{column.name}.type is {column.kind} and was {kind}, which the table"
                " keeps: give it the old type, or the column a new name"
            )
    if view is not None and (gone := sorted(before.names - after.names)):
        return f"columns lack {', '.join(gone)}, which {view} may need: restart ingest"
    return None


def read_value(kind: Kind, value: Any) -> Any:
    """The value as a column of this kind holds it.

    Raises:
        ValueError: it is of another kind.
    """
    try:
        return _READ[kind](value)
    except _RefusedError as refused:
        raise ValueError(f"{_text(value)} is no {kind} ({refused.rule})") from None


def _string(value: Any) -> str:
    if type(value) is not str:
        raise _RefusedError("type")
    return value


def _number(value: Any) -> float:
    if type(value) is int:
        try:
            return float(value)
        except OverflowError:
            raise _RefusedError("finite") from None
    if type(value) is not float:
        raise _RefusedError("type")
    if not math.isfinite(value):
        raise _RefusedError("finite")
    return value


def _integer(value: Any) -> int:
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int:
        raise _RefusedError("type")
    if value not in _INT64:
        raise _RefusedError("range")
    return value


def _boolean(value: Any) -> bool:
    if type(value) is not bool:
        raise _RefusedError("type")
    return value


def _timestamp(value: Any) -> datetime:
    moment = value
    if type(value) is str:
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise _RefusedError("type") from None
    if not isinstance(moment, datetime):
        raise _RefusedError("type")
    if moment.utcoffset() is None:
        raise _RefusedError("offset")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise _RefusedError("range") from None


_READ: dict[Kind, Callable[[Any], Any]] = {
    "string": _string,
    "number": _number,
    "integer": _integer,
    "boolean": _boolean,
    "timestamp": _timestamp,
}


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= MAX_EXAMPLE else text[: MAX_EXAMPLE - 1] + "…"
