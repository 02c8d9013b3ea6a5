"""Data that reached the lake, or was kept out of it."""

from typing import ClassVar

from pydantic import Field

from event_schemas.base import EventBody, Name, OptionalNumber, TimeRange, Value


class ColumnProfile(Value):
    """What one column of a batch looked like."""

    column: str
    """Name of the column."""
    missing: int = Field(ge=0)
    """Rows in which the column is absent or null."""
    minimum: OptionalNumber = None
    """Smallest value; None for a column that holds no numbers."""
    mean: OptionalNumber = None
    """Mean of the values; None for a column that holds no numbers."""
    maximum: OptionalNumber = None
    """Largest value; None for a column that holds no numbers."""
    distinct: int | None = Field(default=None, ge=0)
    """Number of distinct values; given for columns that are no numbers."""


class DataArrived(EventBody):
    """A batch of checked records is in the lake, exactly once."""

    type: ClassVar[str] = "data.arrived"
    key_field: ClassVar[str] = "dataset"

    dataset: Name
    """The dataset that grew."""
    table_uri: str
    """Where the Delta table lies."""
    table_version: int = Field(ge=0)
    """Version of the Delta table that this batch made: the data version."""
    rows: int = Field(ge=0)
    """Rows of this batch."""
    total_rows: int = Field(ge=0)
    """Rows of the table at this version."""
    quarantined_rows: int = Field(default=0, ge=0)
    """Rows of the same batch that broke the contract."""
    event_time: TimeRange | None = None
    """Event time of the batch's rows, when there are any."""
    contract_version: str
    """Version of the dataset's contract that the rows were checked against."""
    profile: tuple[ColumnProfile, ...] = ()
    """An entry for each of the first columns of this batch."""
    profile_left_out: int = Field(default=0, ge=0)
    """Columns beyond those in `profile`."""


class QuarantineReason(Value):
    """One way in which rows broke the contract."""

    column: str | None = None
    """The offending column; None when the row as a whole offends."""
    rule: str
    """The rule of the contract, e.g. `required`, `type`, `minimum`."""
    example: str
    """The first offending value, as text."""
    rows: int = Field(ge=1)
    """Rows that broke this rule."""


class DataQuarantined(EventBody):
    """Rows broke the contract of their dataset and lie in quarantine."""

    type: ClassVar[str] = "data.quarantined"
    key_field: ClassVar[str] = "dataset"

    dataset: Name
    """The dataset that the rows claimed to belong to."""
    rows: int = Field(ge=1)
    """Rows in quarantine from this batch."""
    reasons: tuple[QuarantineReason, ...]
    """The rules that were broken, the most frequent first; a row may break several."""
    reasons_left_out: int = Field(default=0, ge=0)
    """Broken rules beyond those in `reasons`; the quarantine table has more of them."""
    quarantine_uri: str
    """Delta table that holds the rows as they came in, each with its reason."""
    contract_version: str | None = None
    """None when the dataset itself is unknown."""
