"""Rows of a Delta table at a version that is pinned, in an order that is always the same."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from event_schemas.base import TimeRange
from event_schemas.model import DataVersion
from stores.delta import ID, TIME, open_table, outages
from trainer.domain.failure import TrainingError

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable

BEGINNING = datetime(1, 1, 1, tzinfo=UTC)


def earlier(moment: datetime, span: timedelta) -> datetime:
    """A moment so much earlier, and not before the beginning of all times."""
    try:
        return max(BEGINNING, moment - span)
    except OverflowError:
        return BEGINNING


@dataclass(frozen=True, slots=True)
class PinnedTable:
    """A table of the lake at one version."""

    dataset: str
    uri: str
    version: int
    columns: frozenset[str]

    def read(
        self, columns: Sequence[str], *, since: datetime = BEGINNING, until: datetime
    ) -> "pa.Table":
        """Some columns of the rows whose event time lies in [since, until], oldest first.

        Rows of one moment come in the order of their ids: the order of files is no promise.

        Raises:
            UnavailableError: the lake is away.
        """
        import pyarrow.dataset as ds
        import pyarrow.types

        with outages(self.uri):
            dataset: Any = _open(self.uri, self.version).to_pyarrow_dataset()
        kind = dataset.schema.field(TIME).type
        if not pyarrow.types.is_timestamp(kind):
            raise TrainingError("read", f"{self.uri}: {TIME} is {kind}, and has to be a timestamp")
        wanted = list(dict.fromkeys((TIME, ID, *columns)))
        time = ds.field(TIME)
        low, high = (pyarrow.scalar(t, kind) for t in (max(since, BEGINNING), until))
        with outages(self.uri):
            rows = dataset.to_table(columns=wanted, filter=(time >= low) & (time <= high))
        return rows.sort_by([(TIME, "ascending"), (ID, "ascending")])

    def data_version(self, rows: "pa.Table") -> DataVersion:
        """What was read, as events name it."""
        if len(rows) == 0:
            span = TimeRange(start=BEGINNING, end=BEGINNING)
        else:
            times = rows.column(TIME)
            first, last = times[0].as_py(), times[len(rows) - 1].as_py()
            # The range is half-open and times are whole microseconds.
            span = TimeRange(start=first, end=last + timedelta(microseconds=1))
        return DataVersion(
            dataset=self.dataset,
            table_uri=self.uri,
            table_version=self.version,
            rows=len(rows),
            event_time=span,
        )


def pin(lake_uri: str, dataset: str) -> PinnedTable:
    """The newest version of a table of the lake.

    Raises:
        TrainingError: there is no such table.
        UnavailableError: the lake is away.
    """
    uri = f"{lake_uri.rstrip('/')}/{dataset}"
    table = _open(uri, None)
    names = frozenset(field.name for field in table.schema().fields)
    missing = {TIME, ID} - names
    if missing:
        raise TrainingError("read", f"{uri} lacks the columns {', '.join(sorted(missing))}")
    return PinnedTable(dataset, uri, table.version(), names)


def _open(uri: str, version: int | None) -> "DeltaTable":
    table = open_table(uri, version)
    if table is None:
        raise TrainingError("read", f"no table {uri}: no data has arrived there")
    return table
