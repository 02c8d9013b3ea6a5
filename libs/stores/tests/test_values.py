"""A column is converted as each of its values is."""

from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stores.values import NoSuchValueError, categories, category, number, numbers

CELLS: dict[Any, st.SearchStrategy] = {
    pa.string(): st.text(max_size=5),
    pa.large_string(): st.text(max_size=5),
    pa.bool_(): st.booleans(),
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.uint8(): st.integers(0, 255),
    pa.float64(): st.floats() | st.integers(-9, 9).map(float),
    pa.decimal128(20, 2): st.decimals("-1e9", "1e9", places=2),
}


@st.composite
def columns(draw: st.DrawFn, *, texts: bool) -> pa.Array:
    kinds = [kind for kind in CELLS if texts or "string" not in str(kind)]
    kind = draw(st.sampled_from(kinds))
    cells = draw(st.lists(st.none() | CELLS[kind], max_size=6))
    array = pa.array(cells, kind)
    return array.dictionary_encode() if draw(st.booleans()) else array


@given(columns(texts=True))
def test_fault_4_2_a_column_of_categories_is_what_its_values_are(column: pa.Array) -> None:
    assert categories(column).to_pylist() == [category(each) for each in column.to_pylist()]


@given(columns(texts=False))
def test_fault_6_7_a_column_of_numbers_is_what_its_values_are(column: pa.Array) -> None:
    found = [None if each != each else each for each in numbers(column).tolist()]
    assert found == [number(each) for each in column.to_pylist()]


def test_fault_4_2_booleans_and_nullable_integers_are_written_as_json_has_them() -> None:
    assert categories(pa.array([True, None, False])).to_pylist() == ["true", None, "false"]
    assert categories(pa.chunked_array([[1, None], [2**62 + 1]])).to_pylist() == [
        "1",
        None,
        str(2**62 + 1),
    ]
    assert categories(pa.array([1.0, 0.5, float("nan")])).to_pylist() == ["1", "0.5", None]
    assert categories(pa.array([Decimal("1.50"), Decimal("2.00")])).to_pylist() == ["1.5", "2"]
    assert categories(pa.nulls(1)).to_pylist() == [None]


@pytest.mark.parametrize("kind", [pa.timestamp("us", "UTC"), pa.binary(), pa.list_(pa.int64())])
def test_what_is_neither_is_refused_by_the_type_of_its_column(kind: Any) -> None:
    with pytest.raises(NoSuchValueError, match="holds no categories"):
        categories(pa.nulls(1, kind))
    with pytest.raises(NoSuchValueError, match="holds no numbers"):
        numbers(pa.nulls(1, kind))
