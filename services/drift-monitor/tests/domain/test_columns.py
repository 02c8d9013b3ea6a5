"""Values as arrays."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift_monitor.domain.columns import (
    MAX_CATEGORY,
    QUANTILE_BINS,
    category_array,
    counts_beside,
)
from drift_monitor.domain.histograms import jensen_shannon


def test_fault_6_6_a_long_category_costs_what_a_short_one_does() -> None:
    values = ["a"] * 4999 + ["x" * 60_000]
    assert category_array(values).nbytes <= 5000 * MAX_CATEGORY * 4, "four bytes a character"


@pytest.mark.parametrize("length", [MAX_CATEGORY, MAX_CATEGORY + 1])
def test_long_categories_stay_apart_and_short_ones_as_they_are(length: int) -> None:
    one, two = category_array(["x" * (length - 1) + end for end in "ab"])
    assert one != two
    assert len(one) == MAX_CATEGORY
    assert (one == "x" * (length - 1) + "a") == (length == MAX_CATEGORY)


def test_what_is_missing_is_the_empty_text() -> None:
    assert category_array([None, np.nan, "UA"]).tolist() == ["", "", "UA"]


def distance(reference: np.ndarray, current: np.ndarray) -> float:
    return jensen_shannon(*counts_beside(reference, current))


def test_fault_6_8_one_value_that_is_far_off_hides_no_shift() -> None:
    normal = np.random.default_rng(1).normal(size=5000)
    spoilt = np.append(normal[1:], 99_999.0)
    assert distance(spoilt, normal) < 0.02
    assert distance(spoilt, normal + 4.0) > 0.6
    assert distance(normal, np.append(normal[1:] + 4.0, 99_999.0)) > 0.6


@pytest.mark.parametrize(
    ("reference", "current", "moved"),
    [
        ([5.0] * 9, [5.0] * 3, 0.0),
        ([5.0] * 9, [6.0] * 3, math.sqrt(math.log(2))),
        ([5.0] * 9, [4.0] * 3, math.sqrt(math.log(2))),
        ([0.0] * 90 + [1.0] * 10, [1.0] * 7, 0.73),
        ([1.0, math.nan], [math.nan, 1.0, 1.0], 0.0),
        ([1e300, -1e300], [1e300, -1e300], 0.0),
    ],
)
def test_numbers_are_compared_by_where_the_reference_lies(reference, current, moved) -> None:
    assert distance(np.array(reference), np.array(current)) == pytest.approx(moved, abs=0.02)


@given(st.lists(st.floats(-1e300, 1e300), min_size=1), st.lists(st.floats(-1e300, 1e300)))
def test_every_number_is_in_one_bin(reference, current) -> None:
    left, right = counts_beside(np.array(reference), np.array(current, dtype=np.float64))
    assert (sum(left), sum(right)) == (len(reference), len(current))
    assert left[0] == left[-1] == 0
    assert len(left) == len(right) <= QUANTILE_BINS + 3


def test_categories_are_compared_by_name() -> None:
    left, right = counts_beside(np.array(["a", "b", "a"]), np.array(["c", "a"]))
    assert (left, right) == ((2, 1, 0), (1, 0, 1))
