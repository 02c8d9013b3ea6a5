"""What answers mean, by task."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_schemas.task import BINARY, Loss, Target
from predictor.domain.answer import Fields, answers_of, probability
from predictor.domain.errors import ModelFailedError

COSTS = Loss(name="cost", costs=((0, 1), (5, 0)))
DEAR = Loss(name="cost", costs=((0, 1, 9), (1, 0, 9), (1, 1, 0)))
CLASSES = Target("multiclass", ("a", "b", "c"))
NUMBER = Target("regression", (), Loss(name="squared_error"))


@pytest.mark.parametrize(
    ("score", "predicted", "sure"),
    [(0.0, 0, 1.0), (0.25, 0, 0.75), (0.5, 1, 0.5), (0.75, 1, 0.75), (1.0, 1, 1.0)],
)
def test_the_likelier_class_is_predicted(score: float, predicted: int, sure: float) -> None:
    answers = answers_of(BINARY)
    assert answers.decide(score) == (predicted, sure)
    assert answers.fields(score, answers.decide(score)) == Fields(score=score)


@pytest.mark.parametrize(("score", "predicted"), [(0.16, "no"), (0.17, "yes")])
def test_the_cheaper_class_is_predicted_under_its_name(score: float, predicted: str) -> None:
    answers = answers_of(Target("binary", ("no", "yes"), COSTS))
    decided = answers.decide(score)
    assert decided == (predicted, score if predicted == "yes" else 1 - score)
    assert answers.fields(score, decided) == Fields(score=score), "the log has the score, as ever"


def test_classes_are_answered_by_name() -> None:
    answers = answers_of(CLASSES)
    scores = (0.2, 0.5, 0.3)
    assert answers.decide(scores) == ("b", 0.5)
    found = answers.fields(scores, answers.decide(scores))
    assert found == Fields(scores={"a": 0.2, "b": 0.5, "c": 0.3}, prediction="b")
    dear = answers_of(Target("multiclass", CLASSES.classes, DEAR))
    assert dear.decide((0.5, 0.4, 0.1)) == ("a", 0.5)
    assert dear.decide((0.02, 0.02, 0.96)) == ("c", 0.96)


def test_a_number_has_no_confidence() -> None:
    answers = answers_of(NUMBER)
    assert answers.decide(-7.25) == (-7.25, None)
    assert answers.fields(-7.25, answers.decide(-7.25)) == Fields(prediction=-7.25)
    assert answers.by_name(-7.25) == {}


@pytest.mark.parametrize(
    ("target", "output", "found"),
    [
        (BINARY, [[0.25, 0.75], [1, 0]], [0.75, 0.0]),
        (CLASSES, [[0.5, 0.25, 0.25]], [(0.5, 0.25, 0.25)]),
        (NUMBER, [[1.5], [-2.0]], [1.5, -2.0]),
        (NUMBER, [1.5, -2.0], [1.5, -2.0]),
    ],
)
def test_an_output_holds_an_answer_a_row(target: Target, output: Any, found: Any) -> None:
    array = np.array(output, np.float32)
    answers = answers_of(target)
    answers.require_shape(array.shape, len(output))
    assert answers.of_output(array) == found


@pytest.mark.parametrize(
    ("target", "shape"),
    [
        (BINARY, (4,)),
        (BINARY, (4, 3)),
        (BINARY, (3, 2)),
        (CLASSES, (4, 2)),
        (CLASSES, (4, 3, 1)),
        (NUMBER, (4, 2)),
        (NUMBER, (1,)),
    ],
)
def test_an_output_of_another_shape_is_told(target: Target, shape: tuple[int, ...]) -> None:
    with pytest.raises(ModelFailedError, match=f"and a {target.task} model gives"):
        answers_of(target).require_shape(shape, 4)


@given(st.lists(st.floats(0, 1), min_size=3, max_size=3).map(tuple))
def test_scores_stay_as_they_are(scores: tuple[float, ...]) -> None:
    answers = answers_of(CLASSES)
    checked = answers.checked(scores)
    assert checked == scores
    found = answers.fields(checked, answers.decide(checked))
    assert found.scores == dict(zip("abc", scores, strict=True))
    assert dict(found.scores or {})[str(found.prediction)] == max(scores)


@pytest.mark.parametrize(
    ("target", "answer"),
    [(CLASSES, (0.5, math.nan, 0.5)), (CLASSES, (0.5, 1.1, 0.5)), (NUMBER, math.inf)],
)
def test_what_is_no_answer_is_the_models_failure(target: Target, answer: Any) -> None:
    with pytest.raises(ModelFailedError, match="the model answered"):
        answers_of(target).checked(answer)


@pytest.mark.parametrize(("raw", "score"), [(1.000001, 1.0), (-0.000001, 0.0), (0.3, 0.3)])
def test_rounding_is_taken_off(raw: float, score: float) -> None:
    assert probability(raw) == score


@pytest.mark.parametrize("raw", [math.nan, math.inf, -math.inf, 1.1, -0.1])
def test_what_is_no_probability_is_the_models_failure(raw: float) -> None:
    with pytest.raises(ModelFailedError):
        probability(raw)
