"""The lake as Delta tables (delta-rs)."""

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake
from deltalake.exceptions import DeltaError

from ingest.domain.contract import Contract, Kind
from ingest.domain.once import Held
from ingest.domain.row import Row
from ingest.ports import Commit, TableState
from servicekit.errors import FatalBusError, UnavailableError
from stores.delta import ID, TIME, open_table, outages

TOPIC = "record.received"
NOTE = "tailrace.note"
POSITIONS = "tailrace.positions"
COMMITS = 16
"""Newest commits that are looked at; a batch of the loop makes one, or a few when it is halved."""

_TIME = pa.timestamp("us", "UTC")
_TYPES: dict[Kind, pa.DataType] = {
    "string": pa.string(),
    "number": pa.float64(),
    "integer": pa.int64(),
    "boolean": pa.bool_(),
    "timestamp": _TIME,
}
_COMMON = [
    (ID, pa.string()),
    ("entity", pa.string()),
    (TIME, _TIME),
    ("ingested_at", _TIME),
]
_CONFIGURATION = {
    # Statistics of every column in every commit would double the cost of a commit.
    "delta.dataSkippingStatsColumns": TIME,
    "delta.checkpointInterval": "100",
}

log = logging.getLogger(__name__)


class DeltaLake:
    """Tables under one folder or URL.

    Args:
        uri: a path or URL.
        compact_files: commits of a table after which their files are made one, as every file costs
            each commit and each read a little: 300 of them double the time of a commit.
        compact_bytes: size from which a file is left as it is. Else each compaction would write the
            whole table again, and take memory that grows with it.
    """

    def __init__(
        self, uri: str, *, compact_files: int = 64, compact_bytes: int = 8 * 1024 * 1024
    ) -> None:
        self._uri = uri.rstrip("/") if "://" in uri else str(Path(uri).absolute())
        self._compact_files = compact_files
        self._compact_bytes = compact_bytes

    def data(self, contract: Contract) -> "DeltaLakeTable":
        """See `Lake.data`."""
        columns = [(column.name, _TYPES[column.kind]) for column in contract.columns]
        return self._table(contract.dataset, _COMMON + columns)

    def quarantine(self, name: str) -> "DeltaLakeTable":
        """See `Lake.quarantine`."""
        text = [(column, pa.string()) for column in ("dataset", "record", "reasons")]
        return self._table(f"quarantine/{name}", _COMMON + text)

    def _table(self, name: str, columns: list[tuple[str, pa.DataType]]) -> "DeltaLakeTable":
        return DeltaLakeTable(
            f"{self._uri}/{name}", pa.schema(columns), self._compact_files, self._compact_bytes
        )

    def state(self, dataset: str) -> TableState | None:
        """See `Lake.state`."""
        uri = f"{self._uri}/{dataset}"
        with outages(uri):
            table = open_table(uri)
            return None if table is None else TableState(table.version(), table.count())


class DeltaLakeTable:
    """A Delta table; positions are its app transactions, the note lies in the commit's metadata."""

    def __init__(self, uri: str, schema: pa.Schema, compact_files: int, compact_bytes: int) -> None:
        self.uri = uri
        self._schema = schema
        self._compact_files = compact_files
        self._compact_bytes = compact_bytes
        self._small_files = 0
        """Files that were added since the table was compacted, as far as is known."""
        self._table: DeltaTable | None = None

    def append(
        self,
        rows: Sequence[Row],
        note: str,
        positions: Mapping[int, Held],
        known: Mapping[int, Held | None],
    ) -> Commit:
        """See `LakeTable.append`."""
        at_ms = max(held.at_ms for held in positions.values())
        data = self._arrow(rows, datetime.fromtimestamp(at_ms / 1000, UTC))
        held = {str(p): [h.offset, h.at_ms] for p, h in sorted(positions.items())}
        properties = CommitProperties(
            custom_metadata={NOTE: note, POSITIONS: json.dumps(held)},
            # Two writers that took the same messages conflict here, and the second commits nothing.
            app_transactions=[Transaction(_app(p), h.offset) for p, h in positions.items()],
        )
        with outages(self.uri):
            try:
                table = self._open()
                if table is None:
                    self._create()
                    table = self._open()
                assert table is not None  # noqa: S101 - it was created a line ago
                self._require_known(table, known)
                write_deltalake(
                    table, data, mode="append", schema_mode="merge", commit_properties=properties
                )
            except BaseException:
                # The handle may be behind the table, and the commit may even have come through.
                self._table = None
                raise
            version = table.version()
            commit = Commit(
                f"{table.metadata().id}@{version}", version, table.count(), note, positions
            )
        self._small_files += 1
        if self._small_files >= self._compact_files:
            self._compact(table)
        return commit

    def _compact(self, table: DeltaTable) -> None:
        """Make small files one; the versions before stay readable."""
        self._small_files = 0
        try:
            made = table.optimize.compact(target_size=self._compact_bytes, max_concurrent_tasks=1)
        except (DeltaError, OSError) as error:
            # It costs nothing but time: the next attempt takes these files as well.
            log.warning("%s: not compacted: %s", self.uri, error)
            self._table = None
            return
        log.debug(
            "%s: %d files became %d", self.uri, made["numFilesRemoved"], made["numFilesAdded"]
        )

    def recent_commits(self) -> Sequence[Commit]:
        """See `LakeTable.recent_commits`; at most `COMMITS`."""
        # The handle sees what it read and wrote itself, and nothing of another replica.
        self._table = None
        with outages(self.uri):
            table = self._open()
            if table is None:
                return []
            ours = [entry for entry in table.history(COMMITS) if NOTE in entry]
            return [self._commit(table, entry) for entry in reversed(ours)]

    def recent_ids(self, limit: int) -> Sequence[str]:
        """See `LakeTable.recent_ids`."""
        with outages(self.uri):
            table = self._open()
            if table is None or limit == 0:
                return []
            files = sorted(_files(table), key=lambda file: file[1])
            fragments = {
                unquote(fragment.path).lstrip("/"): fragment
                for fragment in table.to_pyarrow_dataset().get_fragments()
            }
            newest: list[pa.Table] = []
            while files and sum(map(len, newest)) < limit:
                path, _ = files.pop()
                newest.append(fragments[path].to_table(columns=["event_id", "ingested_at"]))
            if not newest:
                return []
            # Within a file that was compacted, the order of rows is no promise.
            rows = pa.concat_tables(newest).sort_by("ingested_at")
            return rows.column("event_id").to_pylist()[-limit:]

    def position(self, partition: int) -> Held | None:
        """See `LakeTable.position`."""
        with outages(self.uri):
            table = self._open()
            offset = None if table is None else table.transaction_version(_app(partition))
            if table is None or offset is None:
                return None
            history = table.history(COMMITS)
            for entry in history:
                if str(partition) in (held := json.loads(entry.get(POSITIONS, "{}"))):
                    return Held(offset, held[str(partition)][1])
            # Taken longer ago than the commits that are looked at, so not later than any of them.
            return Held(offset, int(history[-1]["timestamp"]))

    def _open(self) -> DeltaTable | None:
        if self._table is None:
            table = open_table(self.uri)
            if table is None:
                return None
            self._require_types(table)
            self._small_files = len(table.file_uris())
            self._table = table
        return self._table

    def _create(self) -> None:
        if "://" not in self.uri:
            Path(self.uri).mkdir(parents=True, exist_ok=True)
        DeltaTable.create(
            self.uri, schema=self._schema, mode="ignore", configuration=_CONFIGURATION
        )

    def _require_known(self, table: DeltaTable, known: Mapping[int, Held | None]) -> None:
        """Raise UnavailableError when another writer took in messages of these partitions.

        Delta sees a conflict with what came after this handle was read, and this one what came
        before.
        """
        for partition, held in known.items():
            offset = table.transaction_version(_app(partition))
            if offset != (held and held.offset):
                raise UnavailableError(
                    f"{self.uri}: another replica has taken in {_app(partition)} up to {offset},"
                    f" and not to {held and held.offset}: reading the table again"
                )

    def _require_types(self, table: DeltaTable) -> None:
        """Raise FatalBusError when a column of the contract has another type in the table.

        A contract may gain and lose columns, but a column keeps its type.
        """
        there = {field.name: field.type for field in pa.schema(table.schema().to_arrow())}
        for column in self._schema:
            kind = there.get(column.name, column.type)
            if _plain(kind) != column.type:
                raise FatalBusError(
                    f"{self.uri}: column {column.name!r} is {kind} in the table and {column.type}"
                    " in the contract: give the column its old type or a new name"
                )

    def _arrow(self, rows: Sequence[Row], ingested_at: datetime) -> pa.Table:
        columns = [row.columns for row in rows]
        data = [
            pa.array([row.event_id for row in rows], pa.string()),
            pa.array([row.entity for row in rows], pa.string()),
            pa.array([row.event_time for row in rows], _TIME),
            pa.array([ingested_at] * len(rows), _TIME),
        ]
        data += [
            pa.array([values[field.name] for values in columns], field.type)
            for field in list(self._schema)[len(_COMMON) :]
        ]
        return pa.Table.from_arrays(data, schema=self._schema)

    def _commit(self, table: DeltaTable, entry: dict[str, Any]) -> Commit:
        version = int(entry["version"])
        there = table if version == table.version() else DeltaTable(self.uri, version=version)
        positions = {
            int(partition): Held(offset, at_ms)
            for partition, (offset, at_ms) in json.loads(entry[POSITIONS]).items()
        }
        return Commit(
            f"{table.metadata().id}@{version}", version, there.count(), entry[NOTE], positions
        )


def _app(partition: int) -> str:
    return f"{TOPIC}-{partition}"


def _files(table: DeltaTable) -> Iterator[tuple[str, int]]:
    actions = pa.table(table.get_add_actions(flatten=True))
    for path, modified in zip(
        actions["path"].to_pylist(), actions["modification_time"].to_pylist(), strict=True
    ):
        yield unquote(path), modified


def _plain(kind: pa.DataType) -> pa.DataType:
    """The type without the larger or smaller layout that a reader may have chosen."""
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    return kind
