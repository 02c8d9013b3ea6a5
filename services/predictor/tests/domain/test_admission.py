import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor.domain.admission import admitted


def flooded(models: int, limit: int, share: float) -> list[int]:
    """What models come to when each asks for as much as it can get, one after the other."""
    under_way = [0] * models
    grew = True
    while grew:
        grew = False
        for model in range(models):
            verdict = admitted(
                wanted=1,
                of_model=under_way[model],
                under_way=sum(under_way),
                limit=limit,
                share=share,
            )
            if verdict == "admitted":
                under_way[model] += 1
                grew = True
    return under_way


def test_one_busy_model_comes_to_its_share() -> None:
    assert flooded(1, 1000, 0.8) == [800]


def test_two_busy_models_share_and_leave_room_for_a_third() -> None:
    assert flooded(2, 1000, 0.8) == pytest.approx([444, 444], abs=1)


def test_a_share_of_one_takes_all() -> None:
    assert flooded(1, 100, 1.0) == [100]


@given(st.integers(1, 6), st.integers(10, 300), st.floats(0.05, 0.95))
def test_floods_get_the_same_and_a_quiet_model_still_comes_in(
    models: int, limit: int, share: float
) -> None:
    under_way = flooded(models, limit, share)
    assert max(under_way) - min(under_way) <= 1
    if sum(under_way) < limit:
        quiet = admitted(wanted=1, of_model=0, under_way=sum(under_way), limit=limit, share=share)
        assert quiet == "admitted"


@pytest.mark.parametrize(
    ("wanted", "of_model", "under_way", "verdict"),
    [
        (1, 0, 99, "admitted"),
        (1, 0, 100, "full"),
        (100, 0, 0, "admitted"),
        (101, 0, 0, "full"),
        (1, 50, 98, "over_share"),
        (2, 50, 99, "full"),
        (40, 39, 39, "admitted"),
        (40, 41, 41, "over_share"),
    ],
)
def test_a_full_predictor_is_told_from_a_model_over_its_share(
    wanted: int, of_model: int, under_way: int, verdict: str
) -> None:
    found = admitted(wanted=wanted, of_model=of_model, under_way=under_way, limit=100, share=0.8)
    assert found == verdict
