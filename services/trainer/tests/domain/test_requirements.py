"""Bounds on measures."""

import math

import pytest

from event_schemas.task import BINARY, Loss, Target
from trainer.domain.measures import Measure
from trainer.domain.requirements import (
    InvalidRequirementError,
    Requirement,
    contradictions,
    judge,
    requirement,
)

NUMBERS = Target("regression", (), Loss(name="absolute_error"))


def test_a_bound_is_a_measure_a_relation_and_a_number() -> None:
    assert requirement("roc_auc >= 0.75") == Requirement("roc_auc", True, 0.75)
    assert requirement(" mae<=12 ") == Requirement("mae", False, 12.0)


@pytest.mark.parametrize("text", ["", "mae", "mae < 3", "mae <= much", "mae <= nan", "<= 3"])
def test_what_is_no_bound_is_told(text: str) -> None:
    with pytest.raises(InvalidRequirementError, match="is no bound; write a measure"):
        requirement(text)


def test_a_measure_of_another_task_is_told_with_those_that_there_are() -> None:
    [said] = contradictions(["mae <= 3"], BINARY)
    assert said.endswith("no measure mae; it has log_loss, roc_auc, brier, accuracy, base_rate")
    assert not list(contradictions(["mae <= 3", "r2 >= 0", "absolute_error <= 9"], NUMBERS))
    [said] = contradictions(["mae"], NUMBERS)
    assert "is no bound" in said


@pytest.mark.parametrize(
    ("text", "value", "verdict"),
    [
        ("mae <= 12", 12.0, "passed"),
        ("mae <= 12", 12.01, "failed"),
        ("mae >= 12", 12.0, "passed"),
        ("mae >= 12", 11.99, "failed"),
        ("mae <= 12", math.nan, "not_measured"),
        ("rmse <= 12", 1.0, "not_measured"),
    ],
)
def test_the_value_decides(text: str, value: float, verdict: str) -> None:
    gate = judge(text, [Measure("mae", value, 0.0, 99.0, 7)])
    assert gate.verdict == verdict
    assert gate.name == f"require.{text.split()[0]}"
