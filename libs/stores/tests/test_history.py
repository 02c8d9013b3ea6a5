"""The newest row at or before a moment, held against a search through all rows."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from stores.history import History

AT = datetime(2013, 7, 1, tzinfo=UTC)
KEYS = st.sampled_from(["EWR", "JFK", "LGA", None])
MINUTES = st.integers(0, 12)
"""So few that ties are frequent."""
ROWS = st.lists(st.tuples(KEYS, MINUTES, st.integers(0, 3), st.one_of(st.none(), st.floats(-9, 9))))
"""Key, minute, id and value."""


def moment(minute: int) -> float:
    return (AT + timedelta(minutes=minute)).timestamp()


def table(rows: list[tuple[Any, int, int, float | None]]) -> pa.Table:
    return pa.table(
        {
            "origin": pa.array([key for key, *_ in rows], pa.string()),
            "event_time": pa.array(
                [AT + timedelta(minutes=minute) for _, minute, *_ in rows],
                pa.timestamp("us", "UTC"),
            ),
            "event_id": pa.array([f"e{number}" for _, _, number, _ in rows], pa.string()),
            "temp": pa.array([value for *_, value in rows], pa.float64()),
        }
    )


@given(
    ROWS,
    st.lists(st.tuples(KEYS, st.one_of(st.none(), MINUTES))),
    st.one_of(st.none(), st.integers(0, 5)),
)
def test_each_row_finds_the_newest_of_its_key_that_is_not_too_old(
    rows: list[tuple[Any, int, int, float | None]],
    asked: list[tuple[Any, int | None]],
    max_age: int | None,
) -> None:
    history = History(table(rows), "origin", {"t": "temp"})
    moments = [None if minute is None else moment(minute) for _, minute in asked]
    age = None if max_age is None else timedelta(minutes=max_age)
    places = history.places([key for key, _ in asked], moments, age)
    for (key, minute), place in zip(asked, places, strict=True):
        known = [
            (at, number)
            for at_key, at, number, _ in rows
            if key is not None and minute is not None and at_key == key and at <= minute
        ]
        newest = max(known, default=None)
        if (
            newest is None
            or minute is None
            or (max_age is not None and minute - newest[0] > max_age)
        ):
            assert place is None
            continue
        assert place is not None
        assert history.times[place] == moment(newest[0])
        # Rows may share even their id: any of these is the newest.
        values = [value for at_key, at, n, value in rows if (at_key, at, n) == (key, *newest)]
        assert history.columns["t"][place].as_py() in values


def test_a_table_without_ids_has_a_history_as_well() -> None:
    rows = table([("EWR", 3, 0, 1.0), ("EWR", 1, 0, 2.0)]).drop_columns(["event_id"])
    history = History(rows, "origin", {"t": "temp"})
    assert history.newest("EWR", moment(2)) == 0
    assert history.columns["t"].to_pylist() == [2.0, 1.0]


def test_microseconds_are_told_apart() -> None:
    times = [AT + timedelta(microseconds=n) for n in range(3)]
    rows = pa.table({"n": [7] * 3, "event_time": pa.array(times, pa.timestamp("us", "UTC"))})
    history = History(rows, "n", {})
    assert [history.newest(7, time.timestamp()) for time in times] == [0, 1, 2]


def test_fault_6_3_a_key_of_64_bits_finds_its_own_row_alone() -> None:
    keys = [2**53, 2**53 + 1, None]
    rows = pa.table(
        {
            "customer": pa.array(keys, pa.int64()),
            "event_time": pa.array([AT] * 3, pa.timestamp("us", "UTC")),
            "event_id": ["a", "b", "c"],
            "paid": [1.0, 2.0, 3.0],
        }
    )
    history = History(rows, "customer", {"paid": "paid"})
    asked = [2**53 + 1, str(2**53 + 1), 2.0**53, None, "x"]
    found = history.places(asked, [AT.timestamp()] * len(asked))
    paid = [None if at is None else history.columns["paid"][at].as_py() for at in found]
    assert paid == [2.0, 2.0, None, None, None]
