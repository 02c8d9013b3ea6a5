"""Tables of the lake as batches of rows: read one after the other, written in one commit."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from datetime import UTC, datetime
from threading import Event
from typing import Any, Literal

from predictor.domain.errors import LoadError
from servicekit.errors import UnavailableError
from stores.delta import open_table, outages, seconds

ROW_GROUP_ROWS = 100_000
"""In a row group of a table that is written: the writer holds one."""


def open_existing(uri: str, version: int | None = None) -> Any:
    """The `deltalake.DeltaTable` at a URI.

    Raises:
        LoadError: there is none, or it has no such version.
        UnavailableError: the lake is away.
    """
    from deltalake.exceptions import DeltaError

    try:
        table = open_table(uri, version)
    except UnavailableError as error:
        if version is not None and isinstance(error.__cause__, DeltaError):
            raise LoadError("missing", f"{uri} has no version {version}: {error}") from error
        raise
    if table is None:
        raise LoadError("missing", f"there is no Delta table {uri}")
    return table


class DeltaRows:
    """The rows of a table at one version, with a range of one of its times.

    Args:
        uri: of the table.
        version: of the table; None: the newest.
        time: column of the moment of each row.
        since: first moment; None: from the beginning.
        until: moment before which rows are read; None: to the end.

    Raises:
        LoadError: the table or its time is not there.
        UnavailableError: the lake is away.
    """

    def __init__(
        self,
        uri: str,
        version: int | None = None,
        *,
        time: str,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> None:
        import pyarrow
        import pyarrow.dataset as ds
        import pyarrow.types

        table = open_existing(uri, version)
        self._table = table
        self.uri = uri
        self.version: int = table.version()
        with outages(uri, damage=True):
            self._dataset: Any = table.to_pyarrow_dataset()
        self.columns = frozenset(self._dataset.schema.names)
        self.range = (since, until)
        self._time = time
        self._filter: Any = None
        if time not in self.columns:
            raise LoadError(
                "columns",
                f"{uri} has no column {time}, the time of each row: name it with --time-column"
                f" (there are {', '.join(sorted(self.columns))})",
            )
        kind = self._dataset.schema.field(time).type
        if not pyarrow.types.is_timestamp(kind):
            raise LoadError("columns", f"{uri}: column {time} is {kind}, and has to be a timestamp")
        for bound, holds in (
            (since, lambda moment: ds.field(time) >= moment),
            (until, lambda moment: ds.field(time) < moment),
        ):
            if bound is not None:
                moment = pyarrow.scalar(bound, pyarrow.timestamp("us", "UTC")).cast(kind)
                condition = holds(moment)
                self._filter = condition if self._filter is None else self._filter & condition

    def count(self) -> int:
        """How many rows there are."""
        with outages(self.uri, damage=True):
            return self._dataset.count_rows(filter=self._filter)

    def last(self) -> float | None:
        """The last moment, in seconds since 1970; None without rows."""
        import pyarrow
        import pyarrow.compute as pc

        found: float | None = None
        with outages(self.uri, damage=True):
            for batch in self._dataset.to_batches(columns=[self._time], filter=self._filter):
                newest = pc.max(batch.column(0))  # pyright: ignore[reportAttributeAccessIssue]
                if newest.is_valid:
                    moment = seconds(pyarrow.array([newest.as_py()], newest.type))[0]
                    found = moment if found is None else max(found, moment)
        return found

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[Any]:
        """Record batches of some columns, each of at most so many rows.

        Rows are decoded as they are wanted. A scan of Arrow's dataset would hold whole row groups,
        of a million rows each as the lake's libraries write them, and several at a time.

        Raises:
            UnavailableError: the lake is away.
        """
        import pyarrow
        from deltalake import QueryBuilder

        schema = pyarrow.schema([self._dataset.schema.field(name) for name in columns])

        def opened() -> Any:
            query = QueryBuilder(
                {
                    "datafusion.execution.batch_size": str(rows),
                    "datafusion.execution.target_partitions": "1",
                }
            ).register("input", self._table)
            names = ", ".join(_quoted(name) for name in columns)
            # Names are quoted, and the rest is ours.
            found = query.execute(f"SELECT {names} FROM input{self._where()}")  # noqa: S608
            return pyarrow.RecordBatchReader.from_stream(found).cast(schema)

        # Whoever takes the batches may be a thread of deltalake's runtime, which writes them, and
        # may not begin to read there.
        with outages(self.uri, damage=True), ThreadPoolExecutor(1, "delta-rows") as reading:
            found = reading.submit(opened).result()
            while (batch := reading.submit(next, found, None).result()) is not None:
                yield batch

    def _where(self) -> str:
        conditions = [
            f"{_quoted(self._time)} {sign} '{self._moment(bound).isoformat()}'"
            for sign, bound in zip((">=", "<"), self.range, strict=True)
            if bound is not None
        ]
        return f" WHERE {' AND '.join(conditions)}" if conditions else ""

    def _moment(self, bound: datetime) -> datetime:
        """A bound as the column has its moments: those without an offset are UTC."""
        moment = bound.astimezone(UTC)
        return moment if self.kind(self._time).tz else moment.replace(tzinfo=None)

    def kind(self, column: str) -> Any:
        """The Arrow type of a column."""
        return self._dataset.schema.field(column).type


def _quoted(column: str) -> str:
    escaped = column.replace('"', '""')
    return f'"{escaped}"'


def holds(uri: str, column: str, value: str) -> bool | None:
    """Whether a row of a table has a value in a column; None where there is no such table.

    Raises:
        LoadError: the table has no such column.
        UnavailableError: the lake is away.
    """
    import pyarrow.dataset as ds

    with outages(uri, damage=True):
        table = open_table(uri)
        if table is None:
            return None
        dataset: Any = table.to_pyarrow_dataset()
        if column not in dataset.schema.names:
            raise LoadError(
                "columns", f"{uri} is no table of predictions (it has no column {column})"
            )
        return dataset.filter(ds.field(column) == value).head(1, columns=[column]).num_rows > 0


def write_rows(
    uri: str,
    schema: Any,
    batches: Callable[[], Iterator[Any]],
    mode: Literal["error", "append", "overwrite", "ignore"],
) -> None:
    """Write batches as they come, and commit them together or not at all.

    A stop by the keyboard is heard at the next batch; once the last is written it comes too late.

    Raises:
        Exception: what `batches` raises, and then nothing is committed.
        KeyboardInterrupt: it was stopped, and nothing is committed.
        UnavailableError: the lake is away.
    """
    import pyarrow
    from deltalake import WriterProperties, write_deltalake

    failures: list[BaseException] = []
    stopped = Event()

    def guarded() -> Iterator[Any]:
        try:
            for batch in batches():
                if stopped.is_set():
                    raise KeyboardInterrupt
                yield batch
        except BaseException as error:  # what Arrow makes of it has lost its kind
            failures.append(error)
            raise

    def write() -> None:
        reader = pyarrow.RecordBatchReader.from_batches(schema, guarded())
        try:
            with outages(uri):
                write_deltalake(
                    uri,
                    reader,
                    mode=mode,
                    writer_properties=WriterProperties(max_row_group_size=ROW_GROUP_ROWS),
                )
        except BaseException:
            if failures:
                raise failures[0] from None
            raise

    # Signals are heard by the main thread, and not before native code comes back to it.
    with ThreadPoolExecutor(1, "delta-writer") as writing:
        written = writing.submit(write)
        try:
            wait([written])
        except KeyboardInterrupt:
            stopped.set()
        written.result()
