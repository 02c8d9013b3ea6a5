import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor.domain.shadowing import rest_after, shadowed

shares = st.floats(0, 1)


@given(st.text(), shares, shares)
def test_a_larger_share_only_adds_predictions(name: str, one: float, other: float) -> None:
    if shadowed(name, min(one, other)):
        assert shadowed(name, max(one, other))


@given(st.text())
def test_nothing_is_shadowed_at_0_and_all_at_1(name: str) -> None:
    assert not shadowed(name, 0.0)
    assert shadowed(name, 1.0)


def test_a_share_is_that_of_the_predictions() -> None:
    found = sum(shadowed(f"p{i}", 0.3) for i in range(10_000))
    assert 2800 < found < 3200


@given(st.floats(0, 60), st.floats(0.01, 1), st.floats(0, 1))
def test_work_takes_no_more_than_its_load(took: float, load: float, least: float) -> None:
    rest = rest_after(took, load, least)
    assert rest >= least
    assert took <= load * (took + rest) * (1 + 1e-9)


def test_a_load_of_a_fifth_rests_four_times_as_long() -> None:
    assert rest_after(0.01, 0.2, 0.002) == pytest.approx(0.04)
    assert rest_after(0.0001, 0.2, 0.002) == 0.002
