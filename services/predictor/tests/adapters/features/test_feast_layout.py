"""Rows of stored values read at once; `test_online_parity.py` holds single ones against Feast."""

import math
import struct
from datetime import UTC, datetime

import pytest
from feast.protos.feast.types.Value_pb2 import Value
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from predictor.adapters.features.feast_layout import seconds, stored_value, stored_values

doubles = st.floats().map(lambda number: Value(double_val=number).SerializeToString())
# Strings of eight and seventeen bytes look, by their length, as one or two doubles do.
texts = st.text(max_size=20).map(lambda text: Value(string_val=text).SerializeToString())
others = st.one_of(
    st.none(),
    st.just(b""),
    texts,
    st.integers(-(2**63), 2**63 - 1).map(lambda n: Value(int64_val=n).SerializeToString()),
    st.booleans().map(lambda flag: Value(bool_val=flag).SerializeToString()),
    st.just(Value(string_val=")" * 7).SerializeToString()),
    st.just(Value(string_val=")" * 16).SerializeToString()),
)


@given(st.one_of(st.lists(doubles), st.lists(st.one_of(doubles, others))))
def test_a_row_is_its_values(row: list[bytes | None]) -> None:
    read, expected = stored_values(row), [stored_value(each) for each in row]
    assert len(read) == len(expected)
    for value, wanted in zip(read, expected, strict=True):
        assert type(value) is type(wanted)
        assert _bits(value) == _bits(wanted)


def _bits(value: object) -> object:
    """NaNs are told apart, and zeros by their signs."""
    return struct.pack("<d", value) if isinstance(value, float) else value


@pytest.mark.parametrize("data", [None, b""])
def test_no_time_is_0(data: bytes | None) -> None:
    assert seconds(data) == 0.0


@given(st.datetimes(timezones=st.just(UTC)))
def test_a_time_is_in_seconds(moment: datetime) -> None:
    written = Timestamp()
    written.FromDatetime(moment)
    assert math.isclose(seconds(written.SerializeToString()), moment.timestamp(), abs_tol=1e-5)
