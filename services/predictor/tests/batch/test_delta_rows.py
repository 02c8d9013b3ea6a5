"""Rows of real Delta tables: which, and how many at once."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable, WriterProperties, write_deltalake
from services.predictor.tests.lab import Json

from predictor.batch.delta_rows import ROW_GROUP_ROWS, DeltaRows, write_rows
from servicekit.errors import UnavailableError

AT = datetime(2013, 7, 1, tzinfo=UTC)


def table(folder: Path, count: int, zone: str | None = "UTC", **columns: Any) -> str:
    """Row n is of hour n; two files, and row groups of three rows."""
    uri = str(folder / "rows")
    hours = [AT + timedelta(hours=n) for n in range(count)]
    moments = pa.array(hours, pa.timestamp("us", "UTC")).cast(pa.timestamp("us", zone))
    rows = pa.table({"at": moments, "n": pa.array(range(count)), **columns})
    half = count // 2
    for part in (rows[:half], rows[half:]):
        write_deltalake(
            uri, part, mode="append", writer_properties=WriterProperties(max_row_group_size=3)
        )
    return uri


def read(rows: DeltaRows, *columns: str) -> list[Json]:
    return [row for found in rows.batches(columns, 1000) for row in found.to_pylist()]


@pytest.mark.parametrize("batch", [1, 4, 1000])
def test_a_batch_has_at_most_so_many_rows_and_all_are_there(tmp_path: Path, batch: int) -> None:
    rows = DeltaRows(table(tmp_path, 20), time="at")
    found = list(rows.batches(["n"], batch))
    assert max(each.num_rows for each in found) <= batch
    assert sorted(n for each in found for n in each["n"].to_pylist()) == list(range(20))
    assert rows.count() == 20


@pytest.mark.parametrize("zone", ["UTC", None])
def test_a_range_has_its_first_moment_and_not_its_last(tmp_path: Path, zone: str | None) -> None:
    since = AT + timedelta(hours=3)
    until = datetime.fromisoformat("2013-07-01T09:00:00+02:00")  # seven in UTC
    rows = DeltaRows(table(tmp_path, 20, zone=zone), time="at", since=since, until=until)
    assert sorted(row["n"] for row in read(rows, "n")) == [3, 4, 5, 6]
    assert rows.count() == 4
    assert rows.last() == (AT + timedelta(hours=6)).timestamp()


def test_columns_have_the_types_of_the_table_whatever_their_names_are(tmp_path: Path) -> None:
    names = {'a "b"': ["x"] * 4, "Hour": [1.5] * 4, "select": [None, True, False, None]}
    rows = DeltaRows(table(tmp_path, 4, **names), time="at")
    (found,) = list(rows.batches([*names, "at"], 10))[:1]
    assert found.schema.names == [*names, "at"]
    assert [found.schema.field(name).type for name in names] == [rows.kind(name) for name in names]
    assert sorted(read(rows, "n", *names), key=lambda row: row["n"]) == [
        {"n": n} | {name: values[n] for name, values in names.items()} for n in range(4)
    ]


def test_a_version_is_read_as_it_was(tmp_path: Path) -> None:
    uri = table(tmp_path, 20)
    assert len(read(DeltaRows(uri, 0, time="at"), "n")) == 10


def test_rows_can_be_read_while_they_are_written(tmp_path: Path) -> None:
    rows = DeltaRows(table(tmp_path, 20), time="at")
    schema = pa.schema([("n", pa.int64())])
    write_rows(str(tmp_path / "out"), schema, lambda: rows.batches(["n"], 3), "error")
    assert len(DeltaTable(str(tmp_path / "out")).to_pyarrow_table()) == 20


def test_a_file_that_has_gone_is_an_outage_that_names_it(tmp_path: Path) -> None:
    rows = DeltaRows(table(tmp_path, 20), time="at")
    for file in (tmp_path / "rows").glob("*.parquet"):
        file.unlink()
    with pytest.raises(UnavailableError, match=r"rows: .*\.parquet not found"):
        read(rows, "n")


def test_a_file_that_is_cut_off_is_told_in_one_plain_line(tmp_path: Path) -> None:
    rows = DeltaRows(table(tmp_path, 20), time="at")
    for file in (tmp_path / "rows").glob("*.parquet"):
        file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(UnavailableError, match=r"rows: .*part-.*\.parquet") as told:
        rows.count()
    assert str(told.value).isprintable()


def test_a_reader_that_is_left_halfway_ends_its_thread(tmp_path: Path) -> None:
    batches = iter(DeltaRows(table(tmp_path, 20), time="at").batches(["n"], 3))
    next(batches)
    assert _reading()
    batches.close()  # pyright: ignore[reportAttributeAccessIssue]  it is a generator
    assert not _reading()


def _reading() -> list[str]:
    names = [each.name for each in threading.enumerate()]
    return [name for name in names if name.startswith("delta-rows")]


def test_what_is_written_lies_in_row_groups_that_fit_into_memory(tmp_path: Path) -> None:
    schema = pa.schema([("n", pa.int64())])
    count = ROW_GROUP_ROWS + 1

    def batches() -> Iterator[object]:
        yield pa.RecordBatch.from_arrays([pa.array(range(count))], schema=schema)

    write_rows(str(tmp_path / "out"), schema, batches, "error")
    (file,) = (tmp_path / "out").glob("*.parquet")
    groups = pq.ParquetFile(file).metadata
    sizes = [groups.row_group(i).num_rows for i in range(groups.num_row_groups)]
    assert sizes == [ROW_GROUP_ROWS, 1]


@pytest.mark.parametrize("more", [10_000, 0])
def test_a_stop_leaves_nothing_unless_all_was_written_already(tmp_path: Path, more: int) -> None:
    schema = pa.schema([("n", pa.int64())])
    batch = pa.RecordBatch.from_arrays([pa.array([1])], schema=schema)
    heard = threading.Event()

    def stop(*_: object) -> None:
        heard.set()
        raise KeyboardInterrupt

    def batches() -> Iterator[object]:
        yield batch
        os.kill(os.getpid(), signal.SIGINT)
        assert heard.wait(10)
        # It is heard a moment before the writer is told.
        for _ in range(more):
            time.sleep(0.001)
            yield batch

    uri = str(tmp_path / "out")
    before = signal.signal(signal.SIGINT, stop)
    try:
        if more:
            with pytest.raises(KeyboardInterrupt):
                write_rows(uri, schema, batches, "error")
        else:
            write_rows(uri, schema, batches, "error")
    finally:
        signal.signal(signal.SIGINT, before)
    assert DeltaTable.is_deltatable(uri) is not bool(more)
