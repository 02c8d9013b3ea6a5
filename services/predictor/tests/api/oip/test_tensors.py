import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from predictor.api.oip.tensors import UNSUPPORTED, count_of, refuse_extensions, shortest
from predictor.domain.errors import BadRequestError


@given(st.lists(st.integers(0, 50), max_size=4))
def test_a_shape_makes_the_product_of_its_dimensions(shape: list[int]) -> None:
    assert count_of(shape, "x") == math.prod(shape)


@given(st.lists(st.integers(-5, 5)).filter(lambda shape: min(shape, default=0) < 0))
def test_a_negative_dimension_is_refused(shape: list[int]) -> None:
    # Though the product of two of them, or with 0, is none.
    with pytest.raises(BadRequestError, match="negative dimension"):
        count_of(shape, "x")


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_an_extension_that_is_not_served_is_refused_and_0_is_none(name: str) -> None:
    refuse_extensions({name: 0, "anything": 1}, "parameters")
    with pytest.raises(BadRequestError, match=f"{name} asks for .* leave it out") as caught:
        refuse_extensions({name: 7}, "parameters")
    assert caught.value.code == "unsupported_extension"


@pytest.mark.parametrize(
    ("seconds", "microseconds", "expected"),
    [
        (None, None, None),
        (2.0, None, 2.0),
        (2.0, 0, 2.0),
        (None, 0, None),
        (None, 1_500_000, 1.5),
        (2.0, 1_500_000, 1.5),
        (1.0, 1_500_000, 1.0),
    ],
)
def test_the_shorter_of_two_times_counts(
    seconds: float | None, microseconds: int | None, expected: float | None
) -> None:
    assert shortest(seconds, microseconds) == expected


@pytest.mark.parametrize("microseconds", [-1, 1.5, "1", True, [1]])
def test_a_timeout_that_is_no_whole_microseconds_is_refused(microseconds: object) -> None:
    with pytest.raises(BadRequestError, match="send whole microseconds"):
        shortest(None, microseconds)
