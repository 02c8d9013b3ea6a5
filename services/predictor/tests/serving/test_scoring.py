import math
from collections.abc import Callable, Sequence

from predictor.domain.errors import ModelFailedError
from predictor.domain.features import Input, Signature, Value
from predictor.serving.routes.loaded import LoadedVersion
from predictor.serving.scoring import outcomes

ROWS = [[0.1], [0.2], [0.3]]


class Model:
    """Answers rows by a function, and keeps the size of each run."""

    def __init__(self, answer: Callable[[Value], float]) -> None:
        self.answer = answer
        self.runs: list[int] = []

    def answers(self, rows: Sequence[Sequence[Value]]) -> list[float]:
        self.runs.append(len(rows))
        return [self.answer(row[0]) for row in rows]


def version(model: Model) -> LoadedVersion:
    return LoadedVersion("m", "1", "sha", Signature([Input("x", "number")]), model)


def test_rows_are_scored_in_one_run() -> None:
    model = Model(lambda value: float(value or 0.0))
    assert outcomes(version(model), ROWS) == [0.1, 0.2, 0.3]
    assert model.runs == [3]


def test_a_row_that_breaks_the_run_fails_alone() -> None:
    def answer(value: Value) -> float:
        if value == 0.2:
            raise ModelFailedError("model_failed", "it broke")
        return 0.5

    model = Model(answer)
    first, second, third = outcomes(version(model), ROWS)
    assert (first, third) == (0.5, 0.5)
    assert isinstance(second, ModelFailedError)
    assert model.runs == [3, 1, 1, 1]


def test_what_is_no_probability_is_a_failure_of_its_row() -> None:
    model = Model(lambda value: math.nan if value == 0.2 else 0.5)
    found = outcomes(version(model), ROWS)
    assert [isinstance(each, ModelFailedError) for each in found] == [False, True, False]
    assert model.runs == [3], "it ran once"
