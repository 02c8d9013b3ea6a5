"""A value is the same to a model, wherever it comes from."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_schemas.values import NoSuchValueError, category, key, number

WHOLE = st.integers(-(2**63), 2**63 - 1)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("True", "True"),
        (True, "true"),
        (False, "false"),
        (7, "7"),
        (7.0, "7"),
        (-0.0, "0"),
        (0.5, "0.5"),
        (1e300, "1e+300"),
        (Decimal("7.00"), "7"),
        (Decimal("0.50"), "0.5"),
        (None, None),
        (float("nan"), None),
    ],
)
def test_fault_4_2_a_category(value: object, text: str | None) -> None:
    assert category(value) == text


@given(WHOLE | st.booleans() | st.none() | st.floats(allow_nan=False, allow_infinity=False))
def test_fault_4_2_a_category_is_the_same_once_it_went_over_json(value: object) -> None:
    assert category(json.loads(json.dumps(value))) == category(value)


@given(WHOLE)
def test_fault_6_3_a_key_of_64_bits_is_exact(value: int) -> None:
    assert key(value, whole=True) == key(str(value), whole=True) == value
    assert key(Decimal(value), whole=True) == value
    assert key(value, whole=False) == str(value)
    assert key(float(value), whole=True) in (value, None)


@pytest.mark.parametrize(
    "value", [2**63, -(2**63) - 1, 2.0**54, 1.5, "1.0", "01", " 1", "+1", "-0", True, None, [1]]
)
def test_fault_6_3_what_no_row_can_have_finds_none(value: object) -> None:
    assert key(value, whole=True) is None


@pytest.mark.parametrize(
    ("value", "found"),
    [(True, 1.0), (False, 0.0), (3, 3.0), (Decimal("0.25"), 0.25), (10**400, float("inf"))],
)
def test_fault_6_7_a_number(value: object, found: float) -> None:
    assert number(value) == found


def test_what_is_neither_is_refused() -> None:
    for value in (["a"], {"a": 1}, b"a"):
        with pytest.raises(NoSuchValueError, match="is no category"):
            category(value)
        with pytest.raises(NoSuchValueError, match="is no number"):
            number(value)
    with pytest.raises(NoSuchValueError, match="a str is no number"):
        number("5")
