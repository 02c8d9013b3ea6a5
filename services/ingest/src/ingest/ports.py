"""What ingest needs of the lake, the feature store and the bus."""

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from ingest.domain.contract import Contract
from ingest.domain.once import Held
from ingest.domain.row import Row
from servicekit.event import Event


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit of a table, with what was noted in it."""

    id: str
    """Names this commit among all commits of all tables, even ones that were deleted."""
    version: int
    """Version of the table that it made."""
    total_rows: int
    """Rows of the table at that version."""
    note: str
    """Text that was committed together with the rows."""
    positions: Mapping[int, Held]
    """Last offset of each partition among its rows."""


class LakeTable(Protocol):
    """One table that only ever grows; each method raises UnavailableError in an outage."""

    uri: str

    def append(
        self,
        rows: Sequence[Row],
        note: str,
        positions: Mapping[int, Held],
        known: Mapping[int, Held | None],
    ) -> Commit:
        """Add rows, the note and the positions in one step, or nothing.

        Raises:
            UnavailableError: an outage, or the table's positions are no longer those `known`, as
                another replica wrote in between.
        """
        ...

    def recent_commits(self) -> Sequence[Commit]:
        """The newest commits made by `append`, oldest first, by whomever, up to this moment."""
        ...

    def recent_ids(self, limit: int) -> Sequence[str]:
        """Event ids of the newest rows, oldest first; at most `limit`."""
        ...

    def position(self, partition: int) -> Held | None:
        """How far the table has taken in a partition of the topic."""
        ...


@dataclass(frozen=True, slots=True)
class TableState:
    """A table as it is now."""

    version: int
    rows: int


class Lake(Protocol):
    """The tables."""

    def data(self, contract: Contract) -> LakeTable:
        """The table of a dataset's rows."""
        ...

    def quarantine(self, name: str) -> LakeTable:
        """The table of rows that were kept out; their columns are those of `QUARANTINE`."""
        ...

    def state(self, dataset: str) -> TableState | None:
        """A dataset's table as it is now, or None before its first row."""
        ...


class OnlineStore(Protocol):
    """Holds the newest features of each entity."""

    def open(self) -> None:
        """Make the store ready; safe to repeat.

        Raises:
            UnavailableError: it is away.
        """
        ...

    def push(self, view: str, rows: Sequence[Row]) -> None:
        """Write rows into a feature view; an older row never replaces a newer one.

        Raises:
            UnavailableError: the store is away; push the rows again.
        """
        ...


class Publisher(Protocol):
    """Publishes from HTTP handlers."""

    def publish_many(self, events: Sequence[Event]) -> Awaitable[None]:
        """Return when the broker has acknowledged all.

        Raises:
            OverloadedError: the queue is full.
            UnavailableError: the broker is away; some may have been taken.
        """
        ...


QUARANTINE = ("dataset", "record", "reasons")
"""Columns of a quarantine table: the dataset as claimed, the record and the reasons as JSON."""
UNKNOWN = "_unknown"
"""Name of the quarantine table for records of datasets that no contract describes."""
