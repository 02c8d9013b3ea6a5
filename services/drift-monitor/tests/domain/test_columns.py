"""Values as arrays."""

import numpy as np
import pytest

from drift_monitor.domain.columns import MAX_CATEGORY, category_array


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
