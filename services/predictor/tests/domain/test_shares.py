from hypothesis import given
from hypothesis import strategies as st

from predictor.domain.shares import in_share

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
