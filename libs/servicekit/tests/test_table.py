"""Tables against a plain dict: whatever is done to them, in memory and after a restart."""

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from servicekit.table import Table

keys = st.sampled_from(["a", "b", "c/d", ""])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("put"), keys, st.integers(0, 3)),
        st.tuples(st.just("delete"), keys),
        st.tuples(st.just("mark")),
        st.tuples(st.just("rollback")),
        st.tuples(st.just("rollback all")),
        st.tuples(st.just("settle")),
    ),
    max_size=60,
)


@settings(max_examples=200)
@given(steps)
def test_a_table_is_a_dict_and_its_topic_holds_what_was_settled(
    todo: list[tuple[Any, ...]],
) -> None:
    table = Table.of("t", int)
    rows: dict[str, int] = {}
    settled: dict[str, int] = {}
    mark, marked = table.mark(), dict(rows)
    topic: list[tuple[str, bytes | None]] = []
    for step, *given_values in todo:
        match step:
            case "put":
                table.put(*given_values)
                rows[given_values[0]] = given_values[1]
            case "delete":
                table.delete(*given_values)
                rows.pop(given_values[0], None)
            case "mark":
                mark, marked = table.mark(), dict(rows)
            case "rollback":
                table.rollback(mark)
                rows = dict(marked)
            case "rollback all":
                table.rollback()
                rows = dict(settled)
                mark, marked = table.mark(), dict(rows)
            case "settle":
                changes = table.changes()
                assert len({key for key, _ in changes}) == len(changes)
                topic += changes
                table.settle()
                settled = dict(rows)
                mark, marked = table.mark(), dict(rows)
        assert dict(table.items()) == dict(table.scan()) == rows
        assert len(table) == len(rows)
    table.rollback()
    assert dict(table.items()) == settled

    restarted = Table.of("t", int)
    for full_key, value in topic:
        name, _, key = full_key.partition("/")
        assert name == "t"
        restarted.load(key, value)
    assert dict(restarted.items()) == settled
    assert restarted.changes() == []


def test_a_key_that_came_and_went_within_a_batch_is_no_change() -> None:
    table = Table.of("t", int)
    table.put("a", 1)
    table.delete("a")
    assert table.changes() == []


def test_a_value_that_was_put_again_is_no_change() -> None:
    table: Table[str] = Table.of("t", str)
    table.put("a", "x")
    table.settle()
    table.put("a", table["a"])
    assert table.changes() == []


def test_a_table_may_change_while_its_items_are_looked_at() -> None:
    table = Table.of("t", int)
    for key in "abc":
        table.put(key, 1)
    for key, value in table.items():
        table.put(f"{key}{value}", 2)
        table.delete(key)
    assert sorted(dict(table.items())) == ["a1", "b1", "c1"]


class Model(BaseModel):
    n: int


@dataclass(frozen=True)
class Plain:
    n: int


@pytest.mark.parametrize("value", [Model(n=1), Plain(1), 1.5, ("a", 1), {"a": [1]}])
def test_values_of_any_type_that_pydantic_knows_come_back(value: Any) -> None:
    table: Table[Any] = Table.of("t", type(value))
    table.put("k", value)
    ((_, written),) = table.changes()
    other: Table[Any] = Table.of("t", type(value))
    other.load("k", written)
    back = other["k"]
    assert back == value or list(back) == list(value)


def test_a_name_with_a_slash_is_refused() -> None:
    with pytest.raises(ValueError, match="no slash: 'a/b'"):
        Table.of("a/b", int)
