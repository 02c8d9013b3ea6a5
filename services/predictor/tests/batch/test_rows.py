"""Rows made a column at a time are those that are made one by one."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, TypeAlias

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from hypothesis import given
from hypothesis import strategies as st
from services.predictor.tests.lab import Json

from predictor.adapters.features.feast_registry import Column, Source
from predictor.batch.lake_features import LakeFeatures
from predictor.batch.rows import TableRows
from predictor.domain.errors import RefusalError
from predictor.domain.features import Input, Ref, Signature
from stores.values import FLOAT32_MAX

AT = datetime(2013, 7, 1, 10, tzinfo=UTC)
REQUESTED = (
    Input("carrier", "category"),
    Input("airport", "category", required=False, default="JFK"),
    Input("hour", "number"),
    Input("seats", "number", required=False),
    Input("gate", "number", required=False, default=7.0),
)
WEATHER: Json = {"stored": True, "view": "weather", "join_key": "airport"}
STORED = (
    Input(
        "temp", "number", field="t", required=False, default=1.5, max_age_seconds=7200, **WEATHER
    ),
    Input("wind", "number", field="w", **WEATHER),
    Input("sky", "category", field="s", required=False, **WEATHER),
)
SIGNATURE = Signature([*REQUESTED, *STORED])
COLUMNS = {each.name: each.name.upper() for each in SIGNATURE.inputs}
TYPES = {
    "CARRIER": pa.string(),
    "AIRPORT": pa.string(),
    "HOUR": pa.float64(),
    "SEATS": pa.int64(),
    "GATE": pa.float32(),
    "TEMP": pa.float64(),
    "WIND": pa.int32(),
    "SKY": pa.large_string(),
}

doubtful = st.sampled_from([float("nan"), FLOAT32_MAX, 3.5e38, -1e300, float("inf"), -0.0])
fine = st.floats(-1e6, 1e6)
airports = st.sampled_from(["EWR", "JFK", "LGA"])
GOOD = {
    "CARRIER": st.sampled_from(["UA", "AA", ""]),
    "AIRPORT": airports,
    "HOUR": fine,
    "SEATS": st.integers(-(2**63), 2**63 - 1),
    "GATE": st.floats(width=32, allow_nan=False, allow_infinity=False),
    "TEMP": fine,
    "WIND": st.integers(-(2**31), 2**31 - 1),
    "SKY": airports,
}
cells = st.fixed_dictionaries(GOOD)
one_doubtful = st.one_of(
    st.tuples(st.sampled_from(list(GOOD)), st.none()),
    st.tuples(st.sampled_from(["HOUR", "GATE", "TEMP"]), doubtful),
)
"""Column and value."""

Table: TypeAlias = Sequence[tuple[Mapping[str, Any], int | None]]


def _spoiled(row: Json, doubts: list[tuple[str, Any]]) -> Json:
    return row | dict(doubts)


rows = st.lists(
    st.tuples(
        st.builds(_spoiled, cells, st.lists(one_doubtful, max_size=1)),
        st.one_of(st.integers(-4, 9), st.none()),
    ),
    min_size=1,
    max_size=8,
)
"""Rows that are whole but for one value at most, each with an hour of its day, or none."""
absent = st.one_of(
    st.just(set[str]()),
    st.sets(st.sampled_from(["AIRPORT", "SEATS", "GATE", "TEMP", "WIND", "SKY"]), max_size=2),
)


class Registry:
    """Knows the weather of an airport."""

    def columns(self, lookups: Mapping[str, Sequence[Ref]]) -> dict[str, Column]:
        return {key: Column("airport", "STRING") for key in lookups}

    def source(self, view: str) -> Source:
        return Source(view, {})


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> LakeFeatures:
    folder: Path = tmp_path_factory.mktemp("lake")
    weather = [
        ("EWR", 0, 1.0, 3.0, "clear"),
        ("EWR", 3, 2.0, None, None),
        ("EWR", 5, None, 4.0, "rain"),
        ("JFK", -9, 9.0, 2.0, "fog"),
        ("JFK", 4, 3.5e38, 1.0, ""),
    ]
    table = [
        {"event_id": f"{n}", "event_time": AT + timedelta(hours=hours)}
        | {"airport": airport, "t": t, "w": w, "s": s}
        for n, (airport, hours, t, w, s) in enumerate(weather)
    ]
    write_deltalake(str(folder / "weather"), pa.Table.from_pylist(table))
    features = LakeFeatures(Registry(), str(folder))  # pyright: ignore[reportArgumentType]
    features.prepare(SIGNATURE.lookups)
    features.read((AT + timedelta(days=1)).timestamp())
    return features


def made(
    table: Table,
    without: set[str],
    features: LakeFeatures | None,
    *,
    one_by_one: bool,
) -> tuple[list[Any], Mapping[Any, int]]:
    """Rows and refusals, and the gaps.

    Categories that are encoded as a dictionary are the same to whoever looks at them one by one,
    and are not looked at as a column.
    """
    arrays = {
        name: pa.array([cells[name] for cells, _ in table], kind)
        for name, kind in TYPES.items()
        if name not in without
    }
    if one_by_one:
        arrays["CARRIER"] = arrays["CARRIER"].dictionary_encode()
    moments = [None if hours is None else AT.timestamp() + hours * 3600 for _, hours in table]
    maker = TableRows(COLUMNS, "at", features)
    found = maker.of(SIGNATURE, pa.RecordBatch.from_pydict(arrays), moments)
    return [
        (each.code, each.message) if isinstance(each, RefusalError) else list(each)
        for each in found
    ], maker.gaps


@given(rows, absent)
def test_with_stored_features_from_the_table(table: Table, without: set[str]) -> None:
    assert made(table, without, None, one_by_one=False) == made(
        table, without, None, one_by_one=True
    )


@given(rows, absent)
def test_with_stored_features_from_the_lake(
    lake: LakeFeatures, table: Table, without: set[str]
) -> None:
    assert made(table, without, lake, one_by_one=False) == made(
        table, without, lake, one_by_one=True
    )


def test_a_whole_row_is_as_the_table_has_it(lake: LakeFeatures) -> None:
    row = {"CARRIER": "UA", "AIRPORT": "EWR", "HOUR": 0.25, "SEATS": 2, "GATE": 3.0}
    row |= {"TEMP": 20.0, "WIND": 5, "SKY": "fog"}
    from_table, no_gaps = made([(row, 1)], set(), None, one_by_one=False)
    assert from_table == [["UA", "EWR", 0.25, 2.0, 3.0, 20.0, 5.0, "fog"]]
    from_lake, none_either = made([(row, 1)], set(), lake, one_by_one=False)
    assert from_lake == [["UA", "EWR", 0.25, 2.0, 3.0, 1.0, 3.0, "clear"]]
    assert not no_gaps
    assert not none_either


def test_what_is_missing_has_its_default_or_is_refused(lake: LakeFeatures) -> None:
    row = {"CARRIER": "UA", "AIRPORT": "EWR", "HOUR": 0.25, "SEATS": None, "GATE": None}
    row |= {"TEMP": None, "WIND": None, "SKY": None}
    found, gaps = made([(row, 3), (row, 2), (row, None)], set(), lake, one_by_one=False)
    refused, stale, untimed = found
    assert refused[0] == "feature_unavailable"
    assert stale == ["UA", "EWR", 0.25, None, 7.0, 1.0, 3.0, "clear"]
    assert untimed == ("no_time", "at is null")
    assert gaps == {("wind", "absent"): 1}


@pytest.mark.parametrize(
    ("kind", "column", "found"),
    [
        ("category", pa.array([True, False]), ["true", "false"]),
        ("category", pa.array([1, 2**53 + 1]), ["1", str(2**53 + 1)]),
        ("category", pa.array([1.0, 0.5]), ["1", "0.5"]),
        ("number", pa.array([True, False]), [1.0, 0.0]),
        ("number", pa.array([Decimal("1.50"), Decimal("0.10")]), [1.5, 0.1]),
    ],
)
def test_fault_6_7_rows_of_the_training_table_can_be_scored(
    kind: Literal["number", "category"], column: pa.Array, found: list[Any]
) -> None:
    batch = pa.RecordBatch.from_pydict({"x": column})
    rows = TableRows({"x": "x"}, "at", None).of(Signature([Input("x", kind)]), batch, [0.0, 0.0])
    assert [list(row) for row in rows if not isinstance(row, RefusalError)] == [[v] for v in found]


def test_fault_6_3_keys_of_a_table_stay_exact() -> None:
    keys = [2**53 + 1, -(2**63), 2**63 - 1]
    signature = Signature(
        [
            Input("customer", "number"),
            Input("paid", "number", stored=True, view="v", field="paid", join_key="customer"),
        ]
    )
    for column in (pa.array(keys), pa.array([Decimal(key) for key in keys])):
        batch = pa.RecordBatch.from_pydict({"customer": column, "paid": pa.array([1.0, 2.0, 3.0])})
        maker = TableRows({"customer": "customer", "paid": "paid"}, "at", None)
        rows = maker.of(signature, batch, [0.0] * 3)
        assert [row[0] for row in rows if not isinstance(row, RefusalError)] == keys
