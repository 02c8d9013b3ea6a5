from typing import Literal, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor.domain.errors import CannotAnswerError
from predictor.domain.features import Gap, Input, LastKnown, Signature, Stored, Value

CARRIER = Input("carrier", "category")
TEMP = Input(
    "temp",
    "number",
    stored=True,
    view="weather",
    field="t",
    join_key="carrier",
    required=False,
    default=10.0,
    max_age_seconds=60,
    last_known_seconds=600,
)
SIGNATURE = Signature([CARRIER, TEMP])

Reason: TypeAlias = Literal["absent", "stale", "wrong_type", "store_away"]


def stored(value: object, at: float = 1000.0) -> Stored:
    return {("carrier", "UA"): {("weather", "t"): (value, at)}}


def filled(
    known: LastKnown, table: Stored | None, now: float, signature: Signature = SIGNATURE
) -> tuple[Value, list[Gap]]:
    row = signature.request_values({"carrier": "UA"})
    gaps: list[Gap] = []
    signature.fill(row, table, now, gaps, known)
    return row[1], gaps


MISSING: list[tuple[Stored | None, Reason]] = [
    ({}, "absent"),
    (stored(None), "absent"),
    (stored("warm", 1590.0), "wrong_type"),
    (None, "store_away"),
]


@pytest.mark.parametrize(("table", "reason"), MISSING)
def test_the_last_known_value_stands_in_up_to_its_age(table: Stored | None, reason: Reason) -> None:
    known = LastKnown(10)
    assert filled(known, stored(21.0), 1000.0) == (21.0, [])
    assert filled(known, table, 1600.0) == (21.0, [Gap("temp", reason, "last_known")])
    assert filled(known, table, 1600.1) == (10.0, [Gap("temp", reason, "default")])


def test_a_stale_value_is_the_last_known_one_even_to_a_predictor_that_just_started() -> None:
    assert filled(LastKnown(10), stored(21.0), 1060.0) == (21.0, [])
    assert filled(LastKnown(10), stored(21.0), 1060.1) == (
        21.0,
        [Gap("temp", "stale", "last_known")],
    )
    assert filled(LastKnown(10), stored(21.0), 1600.1) == (10.0, [Gap("temp", "stale")])


@pytest.mark.parametrize(("table", "reason"), MISSING)
def test_where_nothing_is_known_it_is_as_without(table: Stored | None, reason: Reason) -> None:
    assert filled(LastKnown(10), table, 1000.0) == (10.0, [Gap("temp", reason, "default")])
    fields = {name: getattr(TEMP, name) for name in TEMP.__slots__}
    needed = Signature([CARRIER, Input(**{**fields, "required": True})])
    gaps: list[Gap] = []
    with pytest.raises(CannotAnswerError, match="'temp' is required"):
        needed.fill(["UA", None], table, 1000.0, gaps, LastKnown(10))
    assert gaps == [Gap("temp", reason, "error")]


def test_a_required_value_may_be_the_last_known_one() -> None:
    fields = {name: getattr(TEMP, name) for name in TEMP.__slots__}
    needed = Signature([CARRIER, Input(**{**fields, "required": True})])
    known = LastKnown(10)
    assert filled(known, stored(21.0), 1000.0, needed) == (21.0, [])
    assert filled(known, None, 1100.0, needed) == (21.0, [Gap("temp", "store_away", "last_known")])


def test_an_input_that_does_not_ask_for_it_is_not_remembered() -> None:
    fields = {name: getattr(TEMP, name) for name in TEMP.__slots__}
    plain = Signature([CARRIER, Input(**{**fields, "last_known_seconds": None})])
    assert not plain.remembers
    assert SIGNATURE.remembers
    known = LastKnown(10)
    filled(known, stored(21.0), 1000.0, plain)
    assert len(known) == 0


def test_another_row_is_another_value() -> None:
    known = LastKnown(10)
    filled(known, stored(21.0), 1000.0)
    row = SIGNATURE.request_values({"carrier": "B6"})
    SIGNATURE.fill(row, None, 1000.0, [], known)
    assert row[1] == 10.0


def test_an_older_value_does_not_replace_a_newer_one() -> None:
    known = LastKnown(10)
    key = ("carrier", "UA", "weather", "t")
    known.keep(key, 2.0, 200.0)
    known.keep(key, 1.0, 100.0)
    assert known.of(key, 0.0) == 2.0
    known.keep(key, 3.0, 200.0)
    assert known.of(key, 0.0) == 3.0, "a correction"


@given(
    st.integers(1, 5),
    st.lists(st.tuples(st.booleans(), st.integers(0, 9)), max_size=100),
)
def test_what_was_not_asked_for_the_longest_gives_way(
    most: int, story: list[tuple[bool, int]]
) -> None:
    known, used = LastKnown(most), list[int]()
    for keep, n in story:
        key = ("k", n, "v", "f")
        if keep:
            known.keep(key, float(n), 0.0)
            used = [*(u for u in used if u != n), n][-most:]
        else:
            assert (known.of(key, 0.0) is not None) == (n in used)
            if n in used:
                used = [*(u for u in used if u != n), n]
        assert len(known) == len(used) <= most
