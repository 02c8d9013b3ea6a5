"""What a model answers to a row, by its task: checked, decided, told, and logged.

| task | the model's output `[n, …]` | an answer |
|---|---|---|
| `binary` | `[n, 2]` probabilities | that of the second class |
| `multiclass` | `[n, classes]` probabilities | those of all classes |
| `regression` | `[n]` or `[n, 1]` numbers | the number |
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from event_schemas.task import Target, decision
from predictor.domain.errors import ModelFailedError

ROUNDING = 1e-5
"""A float32 probability may step over 0 or 1 by this much."""

Answer = float | tuple[float, ...]
"""What a model says of a row: a probability, those of all classes, or a number."""


class Decision(NamedTuple):
    """What follows from an answer."""

    prediction: int | float | str
    """The class that is decided for, or the number."""
    confidence: float | None
    """Probability of that class; None: there are no classes."""


class Fields(NamedTuple):
    """Where an answer lies in `PredictionLogged`."""

    score: float | None = None
    scores: Mapping[str, float] | None = None
    prediction: float | str | None = None


NOTHING = Fields()
"""Of a request that failed."""


class Answers(ABC):
    """What the answers of a task mean."""

    row_shapes: Sequence[tuple[int, ...]] = ()
    """Shapes that the output of a model may have for one row."""

    def __init__(self, target: Target) -> None:
        self.target = target

    @abstractmethod
    def of_output(self, output: Any) -> Sequence[Answer]:
        """The answers in a model's output, a NumPy array whose shape was looked at."""

    @abstractmethod
    def checked(self, answer: Any) -> Answer:
        """An answer, with what rounding left.

        Raises:
            ModelFailedError: it is none.
        """

    @abstractmethod
    def decide(self, answer: Any) -> Decision:
        """What follows from an answer; with costs it takes a product of all of them."""

    @abstractmethod
    def fields(self, answer: Any, decision: Decision) -> Fields:
        """An answer as it is logged."""

    def by_name(self, answer: Any) -> dict[str, float]:
        """Probabilities of a multiclass answer under the names of their classes; else none."""
        return {}

    def require_shape(self, shape: Sequence[int], rows: int) -> None:
        """Raise when an output is not of the task.

        Raises:
            ModelFailedError: it has another shape.
        """
        if shape[0] != rows or tuple(shape[1:]) not in self.row_shapes:
            wanted = " or ".join(str((rows, *row)) for row in self.row_shapes)
            raise ModelFailedError(
                "model_failed",
                f"the model gave an output of shape {tuple(shape)}, and a {self.target.task} model"
                f" gives {wanted}",
            )


class BinaryAnswers(Answers):
    """Probabilities of the positive class."""

    row_shapes = ((2,),)

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._names: Sequence[int | str] = target.classes or (0, 1)
        self._by_cost = target.loss.name == "cost"

    def of_output(self, output: Any) -> list[float]:
        """See `Answers.of_output`."""
        return output[:, 1].tolist()

    def checked(self, answer: float) -> float:
        """See `Answers.checked`."""
        return probability(answer)

    def decide(self, answer: float) -> Decision:
        """See `Answers.decide`: the likelier class, the positive one from one half on."""
        if self._by_cost:
            place = decision(self.target.loss, (1.0 - answer, answer))
        else:
            place = 1 if answer >= 0.5 else 0
        return Decision(self._names[place], answer if place else 1.0 - answer)

    def fields(self, answer: float, decision: Decision) -> Fields:
        """See `Answers.fields`."""
        return Fields(score=answer)


class ClassAnswers(Answers):
    """Probabilities of three classes or more."""

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self.row_shapes = ((len(target.classes),),)

    def of_output(self, output: Any) -> list[tuple[float, ...]]:
        """See `Answers.of_output`."""
        return list(map(tuple, output.tolist()))

    def checked(self, answer: Sequence[float]) -> tuple[float, ...]:
        """See `Answers.checked`."""
        return tuple(map(probability, answer))

    def decide(self, answer: Sequence[float]) -> Decision:
        """See `Answers.decide`."""
        place = decision(self.target.loss, answer)
        return Decision(self.target.classes[place], answer[place])

    def fields(self, answer: Sequence[float], decision: Decision) -> Fields:
        """See `Answers.fields`."""
        return Fields(scores=self.by_name(answer), prediction=decision.prediction)

    def by_name(self, answer: Sequence[float]) -> dict[str, float]:
        """See `Answers.by_name`."""
        return dict(zip(self.target.classes, answer, strict=True))


class NumberAnswers(Answers):
    """Numbers."""

    row_shapes = ((), (1,))

    def of_output(self, output: Any) -> list[float]:
        """See `Answers.of_output`."""
        return output.reshape(-1).tolist()

    def checked(self, answer: float) -> float:
        """See `Answers.checked`."""
        if math.isfinite(answer):
            return answer
        raise ModelFailedError("model_failed", f"the model answered {answer}, which is no number")

    def decide(self, answer: float) -> Decision:
        """See `Answers.decide`."""
        return Decision(answer, None)

    def fields(self, answer: float, decision: Decision) -> Fields:
        """See `Answers.fields`."""
        return Fields(prediction=answer)


_BY_TASK: Mapping[str, Callable[[Target], Answers]] = {
    "binary": BinaryAnswers,
    "multiclass": ClassAnswers,
    "regression": NumberAnswers,
}


def answers_of(target: Target) -> Answers:
    """What the answers of a model mean."""
    return _BY_TASK[target.task](target)


def probability(score: float) -> float:
    """The score as a probability.

    Raises:
        ModelFailedError: it is none.
    """
    if 0.0 <= score <= 1.0:
        return score
    if math.isnan(score) or not -ROUNDING <= score <= 1.0 + ROUNDING:
        raise ModelFailedError(
            "model_failed", f"the model answered {score}, which is no probability"
        )
    return min(max(score, 0.0), 1.0)
