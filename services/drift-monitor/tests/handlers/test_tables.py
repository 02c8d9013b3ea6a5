"""Rows in the state topic: bounded in bytes as well as in number."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from drift_monitor.domain.columns import MAX_CATEGORY, category_array
from drift_monitor.handlers.tables import CHUNK_BYTES, CHUNK_ROWS, MAX_ROW_BYTES, RowsTable
from event_schemas import ArmMeasured
from servicekit.testing.metrics import metric_value

KAFKA_TAKES = 1_000_000


@given(st.lists(st.integers(17, MAX_ROW_BYTES), max_size=60))
def test_fault_6_5_no_chunk_outgrows_a_message_and_no_row_is_lost(sizes: list[int]) -> None:
    table, chunks = RowsTable(), 0
    rows = [b"%016x" % n + b"x" * (size - 16) for n, size in enumerate(sizes)]
    for row in rows:
        chunks = table.add("w", 0, chunks, row)
    assert table.of_window("w", 0, chunks) == rows
    for name in [key for key, _ in table.items()]:
        kept = table[name]
        assert len(kept) <= CHUNK_ROWS
        assert len(b"\n".join(kept)) < KAFKA_TAKES
        assert len(kept) == 1 or sum(map(len, kept)) <= CHUNK_BYTES


@given(st.text(max_size=3 * MAX_CATEGORY))
def test_fault_6_5_a_long_category_is_kept_as_it_is_compared(text: str) -> None:
    row = RowsTable.row(7, {"carrier": text, "hour": 5.0, "gone": None})
    found = RowsTable.features_of(row)
    assert found["hour"] == 5.0
    assert found["gone"] is None
    assert category_array([found["carrier"]]).tolist() == category_array([text]).tolist()
    assert len(row) < 20 * MAX_CATEGORY
    assert b"\n" not in row[16:], "a line feed parts rows"


def test_fault_6_5_texts_of_40_kb_outgrow_no_message_of_the_state(world, make) -> None:
    long = {"distance": 100.0, "carrier": "U" * 40_000, "temp": 1.0}
    after = timedelta(days=1)
    world.publish(make.step(make.version()))
    world.publish(*(make.prediction(n, after, features=long) for n in range(60)))
    world.publish(make.prediction("end", timedelta(days=30), features=long))
    kept = world.bus.messages("drift-monitor.state")
    assert kept
    assert max(len(message.value or b"") for message in kept) < KAFKA_TAKES
    assert sum(arm.n for arm in world.out(ArmMeasured)) >= 60


def test_fault_6_5_a_row_of_too_many_bytes_counts_and_is_not_compared(world, make) -> None:
    wide = {f"{n:0>120}": "U" * MAX_CATEGORY for n in range(2500)}
    why = {"model": "flight_delay", "why": "row too large to be compared"}
    before = metric_value("drift_dropped_total", **why)
    world.publish(make.step(make.version()))
    world.publish(make.prediction(1, timedelta(days=1), features=wide))
    world.publish(make.prediction("end", timedelta(days=30)))
    assert metric_value("drift_dropped_total", **why) == before + 1
    assert sum(arm.n for arm in world.out(ArmMeasured)) >= 1
