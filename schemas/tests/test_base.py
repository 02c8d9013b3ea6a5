"""Numbers that are no numbers, times, and durations."""

import json
import math
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field, JsonValue, TypeAdapter, ValidationError

from event_schemas.base import (
    Columns,
    Duration,
    FeatureValue,
    Number,
    OptionalNumber,
    TimeRange,
    Timestamp,
    Value,
)


class Reading(Value):
    """One of each kind of number."""

    plain: float = 0.0
    number: Number = 0.0
    optional: OptionalNumber = None
    features: dict[str, FeatureValue] = Field(default_factory=dict)
    columns: Columns = Field(default_factory=dict)


def test_a_nan_travels_as_null_and_comes_back_as_nan():
    written = Reading(number=math.nan).model_dump_json()

    assert json.loads(written)["number"] is None
    assert math.isnan(Reading.model_validate_json(written).number)


def test_where_null_means_missing_a_nan_is_missing_at_once():
    reading = Reading(optional=math.nan, features={"wind": math.nan}, columns={"a": [math.nan]})

    assert (reading.optional, reading.features, reading.columns) == (
        None,
        {"wind": None},
        {"a": [None]},
    )
    assert Reading.model_validate_json(reading.model_dump_json()) == reading


@pytest.mark.parametrize("infinity", [math.inf, -math.inf])
@pytest.mark.parametrize(
    ("field", "wrap"),
    [
        ("plain", lambda number: number),
        ("number", lambda number: number),
        ("optional", lambda number: number),
        ("features", lambda number: {"wind": number}),
        ("columns", lambda number: {"wind": {"gusts": [1.0, number]}}),
    ],
)
def test_infinity_is_refused_instead_of_turning_into_null(field, wrap, infinity):
    with pytest.raises(ValidationError, match=r"infinity has no place in JSON|finite number"):
        Reading.model_validate({field: wrap(infinity)})
    with pytest.raises(ValidationError, match=r"infinity has no place in JSON|finite number"):
        Reading.model_validate_json(json.dumps({field: wrap(infinity)}))


@pytest.mark.parametrize("text", ["1e999", "-1e999"])
def test_a_number_too_large_for_a_float_is_refused(text):
    for field in ("plain", "number", "optional"):
        with pytest.raises(ValidationError):
            Reading.model_validate_json(f'{{"{field}": {text}}}')


def test_a_plain_float_refuses_nan_since_null_would_not_be_read_back():
    with pytest.raises(ValidationError, match="finite number"):
        Reading(plain=math.nan)


def test_a_feature_keeps_its_kind():
    reading = Reading(features={"hour": 7, "carrier": "UA", "code": "17", "wind": None})

    assert reading.features == {"hour": 7.0, "carrier": "UA", "code": "17", "wind": None}
    assert Reading.model_validate_json(reading.model_dump_json()) == reading


@settings(max_examples=30, database=None, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda parts: st.lists(parts, max_size=3) | st.dictionaries(st.text(max_size=3), parts),
        max_leaves=5,
    )
)
def test_columns_hold_whatever_json_can_hold(value: JsonValue):
    reading = Reading(columns={"column": value})

    assert Reading.model_validate_json(reading.model_dump_json()) == reading


def test_columns_refuse_what_json_cannot_hold():
    with pytest.raises(ValidationError, match="not a valid JSON value"):
        Reading.model_validate({"columns": {"when": datetime(2013, 1, 1, tzinfo=UTC)}})


def test_a_time_is_held_and_written_in_utc():
    times = TypeAdapter(Timestamp)
    moment = times.validate_json('"2013-01-01T05:15:00-05:00"')

    assert moment.tzinfo is UTC
    assert times.dump_json(moment) == b'"2013-01-01T10:15:00Z"'


@pytest.mark.parametrize("text", ["2013-01-01T05:15:00", "0001-01-01T00:00:00+05:00"])
def test_a_time_without_an_offset_or_outside_the_calendar_is_refused(text):
    with pytest.raises(ValidationError, match=r"timezone|outside the years"):
        TypeAdapter(Timestamp).validate_python(text)


@pytest.mark.parametrize(
    ("length", "text"),
    [
        (timedelta(0), "P0D"),
        (timedelta(days=365), "P365D"),
        (timedelta(hours=12), "PT12H"),
        (timedelta(days=1, minutes=90), "P1DT1H1800S"),
        (timedelta(microseconds=1), "PT0.000001S"),
        (timedelta(seconds=10), "PT10S"),
    ],
)
def test_a_duration_is_written_without_months_and_years(length, text):
    assert TypeAdapter(Duration).dump_json(length) == f'"{text}"'.encode()


@settings(database=None, deadline=None)
@given(st.timedeltas(timedelta(0)))
def test_a_duration_comes_back_the_same(length):
    durations = TypeAdapter(Duration)

    assert durations.validate_json(durations.dump_json(length)) == length


def test_a_negative_duration_is_refused():
    with pytest.raises(ValidationError, match="greater than or equal"):
        TypeAdapter(Duration).validate_python("-P1D")


def test_a_time_range_holds_its_start_and_not_its_end():
    start, end = datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 1, 2, tzinfo=UTC)
    day = TimeRange(start=start, end=end)

    assert day.contains(start)
    assert not day.contains(end)
