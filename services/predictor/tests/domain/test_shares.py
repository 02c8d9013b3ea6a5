import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor.domain.shares import in_share, is_logged, is_shadowed

SHARES = st.floats(0, 1)


@given(st.text())
def test_nothing_is_in_no_share_and_all_is_in_the_whole(name: str) -> None:
    assert not in_share(name, 0.0)
    assert in_share(name, 1.0)


@given(st.text(), SHARES, SHARES)
def test_what_is_in_a_share_is_in_every_larger_one(name: str, one: float, other: float) -> None:
    less, more = sorted((one, other))
    assert in_share(name, less) <= in_share(name, more)


def test_a_share_is_about_its_share() -> None:
    assert abs(sum(in_share(f"e{n}", 0.3) for n in range(10_000)) - 3000) < 200


def test_a_name_keeps_its_place_from_release_to_release() -> None:
    assert [in_share("salt|flights|N1", share) for share in (0.74, 0.75)] == [False, True]


ids = st.text(st.characters(codec="ascii"), min_size=1, max_size=128)
rates = st.floats(0, 1, exclude_min=True)


@pytest.mark.parametrize("rate", [0.01, 0.25, 0.9])
def test_the_share_is_that_of_the_policy(rate: float) -> None:
    found = sum(is_logged(f"p{i}", rate) for i in range(20_000))
    assert found / 20_000 == pytest.approx(rate, abs=0.01)


@given(ids, rates, rates)
def test_a_higher_rate_only_adds(prediction_id: str, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert is_logged(prediction_id, high) or not is_logged(prediction_id, low)


@given(ids)
def test_at_one_everything_is_logged(prediction_id: str) -> None:
    assert is_logged(prediction_id, 1.0)


def test_the_choice_never_changes() -> None:
    """Whoever reads a log of last year can tell what was in it."""
    chosen = [i for i in range(20) if is_logged(f"p{i}", 0.3)]
    assert chosen == CHOSEN


CHOSEN = [2, 14, 18]


@given(st.text(), SHARES, SHARES)
def test_a_larger_share_only_adds_predictions(name: str, one: float, other: float) -> None:
    if is_shadowed(name, min(one, other)):
        assert is_shadowed(name, max(one, other))


@given(st.text())
def test_nothing_is_shadowed_at_0_and_all_at_1(name: str) -> None:
    assert not is_shadowed(name, 0.0)
    assert is_shadowed(name, 1.0)


def test_a_share_is_that_of_the_predictions() -> None:
    found = sum(is_shadowed(f"p{i}", 0.3) for i in range(10_000))
    assert 2800 < found < 3200
