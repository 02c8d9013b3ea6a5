from typing import TypeAlias

from hypothesis import given
from hypothesis import strategies as st

from predictor.domain.caching import packed, score_key, unpacked
from predictor.domain.features import Value

Parts: TypeAlias = tuple[str, str, str, str, list[Value]]

values: st.SearchStrategy[Value] = (
    st.none() | st.text() | st.floats(allow_nan=False, allow_infinity=False)
)
parts: st.SearchStrategy[Parts] = st.tuples(
    st.text(), st.text(), st.text(), st.text(), st.lists(values, max_size=4)
)
near: st.SearchStrategy[Parts] = st.sampled_from(
    [
        ("m", "1", "a", "e", [1.0, None]),
        ("m", "1", "a", "e", ["1.0", None]),
        ("m", "1", "a", "e", [1.0, "None"]),
        ("m", "1", "a", "e", [1.0000000000000002, None]),
        ("m", "1", "a", "e", [1.0]),
        ("m", "1", "a", "e', 1.0", [None]),
        ("m", "1", "a'", "e", [1.0, None]),
        ("m", "11", "a", "e", [1.0, None]),
        ("m", "1", "b", "e", [1.0, None]),
        ("m", "1", "a", "e", [0.0]),
        ("m", "1", "a", "e", [-0.0]),
    ]
)


def told(row: list[Value]) -> list[str]:
    """Values as they are told apart: 0.0 and -0.0 are equal, and a model may tell them apart."""
    return [repr(value) for value in row]


@given(parts | near, parts | near)
def test_two_names_are_the_same_where_all_that_a_score_depends_on_is(
    one: Parts, other: Parts
) -> None:
    same = one[:4] == other[:4] and told(one[4]) == told(other[4])
    assert (score_key(*one) == score_key(*other)) == same


@given(parts)
def test_a_name_is_the_same_each_time(one: Parts) -> None:
    assert score_key(*one) == score_key(*one[:4], [*one[4]])


def test_people_find_the_scores_of_a_version() -> None:
    assert score_key("flight_delay", "3", "ab", "e", [1.0]).startswith(
        b"tailrace:score:flight_delay:3:"
    )


@given(parts | near, st.floats(0, 1))
def test_a_score_comes_back_as_it_was(one: Parts, score: float) -> None:
    key = score_key(*one)
    assert unpacked(key, packed(key, score)) == score


@given(parts | near, parts | near, st.floats(0, 1))
def test_a_score_of_another_name_is_none(one: Parts, other: Parts, score: float) -> None:
    key, another = score_key(*one), score_key(*other)
    if key != another:
        assert unpacked(key, packed(another, score)) is None


@given(st.none() | st.binary(max_size=48) | st.binary(min_size=40, max_size=40))
def test_rubbish_is_no_score(data: bytes | None) -> None:
    assert unpacked(score_key("m", "1", "a", "e", []), data) is None


@given(st.floats().filter(lambda score: not 0 <= score <= 1))
def test_what_is_no_probability_is_no_score(score: float) -> None:
    key = score_key("m", "1", "a", "e", [])
    assert unpacked(key, packed(key, score)) is None
