import math

from hypothesis import given
from hypothesis import strategies as st

from ingest.domain.contract import Column
from ingest.domain.profile import Profile, profile

NUMBER = Column("c", "number")


def test_numbers_have_a_range_and_a_mean():
    assert profile(NUMBER, [1.0, None, 3.0]) == Profile("c", 1, 1.0, 2.0, 3.0)


def test_others_have_a_count_of_distinct_values():
    assert profile(Column("c", "string"), ["a", None, "a", "b"]) == Profile("c", 1, distinct=2)


def test_a_column_without_values_has_only_missing_ones():
    assert profile(NUMBER, [None, None]) == Profile("c", 2)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1))
def test_the_mean_is_finite_and_within_the_range(values):
    made = profile(NUMBER, values)
    assert made.minimum is not None
    assert made.mean is not None
    assert made.maximum is not None
    assert math.isfinite(made.mean)
    assert made.minimum <= made.mean <= made.maximum
