"""Columns of a reference beside the inputs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_schemas.model import column_beside
from event_schemas.policy import Feature


def inputs(*names: str) -> list[Feature]:
    return [Feature(name=name, kind="number", source="request") for name in names]


@pytest.mark.parametrize(
    ("taken", "named"),
    [
        ((), "label"),
        (("score",), "label"),
        (("label",), "label_"),
        (("label_", "label"), "label__"),
    ],
)
def test_a_column_of_ours_makes_way_for_an_input(taken: tuple[str, ...], named: str) -> None:
    assert column_beside(inputs(*taken), "label") == named


@given(st.sets(st.from_regex(r"\Alabel_{0,4}\Z")))
def test_no_column_of_ours_is_an_input(taken: set[str]) -> None:
    assert column_beside(inputs(*taken), "label") not in taken
