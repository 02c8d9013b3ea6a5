import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.domain.contract import KINDS, Column, Contract

NOW = datetime(2013, 1, 1, tzinfo=UTC)


def contract(*columns: Column, **options: object) -> Contract:
    return Contract("d", columns, "v1", **options)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("kind", "given_value", "held"),
    [
        ("string", "", ""),
        ("string", "1", "1"),
        ("number", 1, 1.0),
        ("number", 1.5, 1.5),
        ("integer", 3, 3),
        ("integer", 3.0, 3),
        ("integer", 2**63 - 1, 2**63 - 1),
        ("integer", -(2**63), -(2**63)),
        ("boolean", False, False),
        ("timestamp", "2013-01-01T02:00:00+02:00", NOW),
        ("timestamp", "2013-01-01T00:00:00Z", NOW),
        ("number", None, None),
        ("number", math.nan, None),
    ],
)
def test_a_value_is_held_as_its_column_says(kind, given_value, held):
    values, faults = contract(Column("c", kind)).check("e", NOW, {"c": given_value})
    assert faults == []
    assert values == {"c": held}
    assert type(values["c"]) is type(held)


@pytest.mark.parametrize(
    ("kind", "value", "rule"),
    [
        ("string", 1, "type"),
        ("string", ["a"], "type"),
        ("number", "1.5", "type"),
        ("number", True, "type"),
        ("number", math.inf, "finite"),
        ("number", -math.inf, "finite"),
        ("number", 10**400, "finite"),
        ("integer", 3.5, "type"),
        ("integer", "3", "type"),
        ("integer", True, "type"),
        ("integer", math.inf, "type"),
        ("integer", 2**63, "range"),
        ("integer", 1e300, "range"),
        ("boolean", 1, "type"),
        ("boolean", "true", "type"),
        ("timestamp", "2013-01-01T00:00:00", "offset"),
        ("timestamp", "yesterday", "type"),
        ("timestamp", 1357000000, "type"),
        ("timestamp", "0001-01-01T00:00:00+10:00", "range"),
    ],
)
def test_a_value_of_another_type_is_a_fault(kind, value, rule):
    _, faults = contract(Column("c", kind)).check("e", NOW, {"c": value})
    assert [(fault.column, fault.rule) for fault in faults] == [("c", rule)]


@pytest.mark.parametrize("value", [-40, 130, -40.0, 130.0])
def test_the_limits_themselves_are_allowed(value):
    column = Column("temp", "number", minimum=-40.0, maximum=130.0)
    assert contract(column).check("e", NOW, {"temp": value})[1] == []


@pytest.mark.parametrize(("value", "rule"), [(-40.001, "minimum"), (130.001, "maximum")])
def test_a_value_beyond_a_limit_is_a_fault_that_names_it(value, rule):
    column = Column("temp", "number", minimum=-40.0, maximum=130.0)
    (fault,) = contract(column).check("e", NOW, {"temp": value})[1]
    assert (fault.column, fault.rule, fault.value) == ("temp", rule, repr(value))


def test_a_value_that_is_not_in_the_list_is_a_fault():
    column = Column("origin", "string", allowed=frozenset({"JFK"}))
    assert contract(column).check("e", NOW, {"origin": "JFK"})[1] == []
    assert contract(column).check("e", NOW, {"origin": "jfk"})[1][0].rule == "allowed"


@pytest.mark.parametrize("record", [{}, {"c": None}, {"c": math.nan}])
def test_a_required_column_may_be_neither_absent_nor_null_nor_nan(record):
    assert contract(Column("c", "number", required=True)).check("e", NOW, record)[1][0].rule == (
        "required"
    )
    assert contract(Column("c", "number")).check("e", NOW, record) == ({"c": None}, [])


def test_an_unknown_column_is_refused_or_dropped_as_the_contract_says():
    record = {"c": 1.0, "d": 2}
    _, faults = contract(Column("c", "number")).check("e", NOW, record)
    assert [(f.column, f.rule, f.value) for f in faults] == [("d", "unknown_column", "2")]
    tolerant = contract(Column("c", "number"), unknown_columns="drop")
    assert tolerant.check("e", NOW, record) == ({"c": 1.0}, [])


def test_columns_that_repeat_entity_and_event_time_must_agree_with_them():
    columns = Column("id", "string"), Column("at", "timestamp")
    strict = contract(*columns, entity_column="id", event_time_column="at")
    agrees = {"id": "e", "at": "2013-01-01T01:00:00+01:00"}
    assert strict.check("e", NOW, agrees)[1] == []
    faults = strict.check("e", NOW, {"id": "f", "at": "2013-01-01T01:00:00Z"})[1]
    assert [(f.column, f.rule) for f in faults] == [("id", "entity"), ("at", "event_time")]


def test_every_fault_of_a_record_is_named():
    columns = Column("a", "number"), Column("b", "string", required=True)
    faults = contract(*columns).check("e", NOW, {"a": "x", "z": 1})[1]
    assert {fault.rule for fault in faults} == {"type", "required", "unknown_column"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=4,
)


@given(record=st.dictionaries(st.sampled_from([*KINDS, "other"]), json_values))
def test_whatever_comes_a_faultless_record_fits_its_columns(record):
    columns = tuple(Column(kind, kind) for kind in KINDS)
    values, faults = contract(*columns).check("e", NOW, record)
    if not faults:
        kinds = {"string": str, "number": float, "integer": int, "boolean": bool}
        for column in columns:
            value = values[column.name]
            assert value is None or isinstance(value, kinds.get(column.kind, datetime))
            assert not isinstance(value, float) or math.isfinite(value)
    assert all(len(fault.value) <= 120 for fault in faults)


@pytest.mark.parametrize(
    ("value", "rules"),
    [
        ("1900-01-01T00:00:00Z", []),
        ("2100-01-01T00:00:00Z", []),
        ("0001-01-01T00:00:00Z", ["minimum"]),
        ("2113-03-19T08:00:00Z", ["maximum"]),
    ],
)
def test_fault_6_4_a_time_column_without_limits_has_those_of_all(value, rules):
    _, faults = contract(Column("at", "timestamp")).check("e", NOW, {"at": value})
    assert [fault.rule for fault in faults] == rules


def test_fault_6_4_a_column_may_name_other_limits():
    latest = datetime(2200, 1, 1, tzinfo=UTC)
    column = Column("at", "timestamp", maximum=latest)
    for year, rules in (("2199", []), ("2201", ["maximum"])):
        _, faults = contract(column).check("e", NOW, {"at": f"{year}-01-01T00:00:00Z"})
        assert [fault.rule for fault in faults] == rules


def test_fault_6_4_the_time_of_a_record_has_a_limit_as_well():
    _, faults = contract().check("e", datetime(1, 1, 1, tzinfo=UTC), {})
    assert [(fault.column, fault.rule) for fault in faults] == [("event_time", "minimum")]
