import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor.domain.sampling import logged

ids = st.text(st.characters(codec="ascii"), min_size=1, max_size=128)
rates = st.floats(0, 1, exclude_min=True)


@pytest.mark.parametrize("rate", [0.01, 0.25, 0.9])
def test_the_share_is_that_of_the_policy(rate: float) -> None:
    found = sum(logged(f"p{i}", rate) for i in range(20_000))
    assert found / 20_000 == pytest.approx(rate, abs=0.01)


@given(ids, rates, rates)
def test_a_higher_rate_only_adds(prediction_id: str, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert logged(prediction_id, high) or not logged(prediction_id, low)


@given(ids)
def test_at_one_everything_is_logged(prediction_id: str) -> None:
    assert logged(prediction_id, 1.0)


def test_the_choice_never_changes() -> None:
    """Whoever reads a log of last year can tell what was in it."""
    chosen = [i for i in range(20) if logged(f"p{i}", 0.3)]
    assert chosen == CHOSEN


CHOSEN = [2, 14, 18]
