import math

import pytest

from predictor.domain.answer import confidence, predicted_class, probability
from predictor.domain.errors import ModelFailedError


@pytest.mark.parametrize(
    ("score", "predicted", "sure"),
    [(0.0, 0, 1.0), (0.25, 0, 0.75), (0.5, 1, 0.5), (0.75, 1, 0.75), (1.0, 1, 1.0)],
)
def test_the_likelier_class_is_predicted(score: float, predicted: int, sure: float) -> None:
    assert (predicted_class(score), confidence(score)) == (predicted, sure)


@pytest.mark.parametrize(("raw", "score"), [(1.000001, 1.0), (-0.000001, 0.0), (0.3, 0.3)])
def test_rounding_is_taken_off(raw: float, score: float) -> None:
    assert probability(raw) == score


@pytest.mark.parametrize("raw", [math.nan, math.inf, -math.inf, 1.1, -0.1])
def test_what_is_no_probability_is_the_models_failure(raw: float) -> None:
    with pytest.raises(ModelFailedError):
        probability(raw)
