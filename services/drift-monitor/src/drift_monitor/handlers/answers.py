"""Reads answers and labels by the task of the version that gave them, and says what they cost."""

from collections.abc import Mapping
from dataclasses import dataclass

from drift_monitor.domain.histograms import number_bin, score_bin
from drift_monitor.domain.join import Waiting
from drift_monitor.domain.loss import FINE_BITS, Cost
from drift_monitor.handlers.tables import State, key_of
from event_schemas import PredictionLogged
from event_schemas.model import ModelVersion
from event_schemas.task import (
    LOSSES,
    Loss,
    Task,
    class_of,
    decision,
    loss_of_class,
    loss_of_number,
    number_of,
)

SUM_TOLERANCE = 0.01
"""How far the probabilities of all classes may be from 1 together: an answer is rounded at most."""

_OF_TASK = {task: Loss(name=losses[0]) for task, losses in LOSSES.items()}


class InvalidAnswerError(ValueError):
    """An answer that no version gives: one such would be the mean of all."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a version answered."""

    task: Task
    number: float
    """Probability of the positive class, highest one of all classes, or the number answered."""
    scores: Mapping[str, float] | None = None
    """Probability of each class, of a multiclass model."""


def answer_of(body: PredictionLogged) -> Answer | None:
    """The answer of a prediction; None of one that failed.

    Raises:
        InvalidAnswerError: no version answers so.
    """
    if body.error is not None:
        return None
    if body.scores is not None:
        total = sum(body.scores.values())
        if abs(total - 1) > SUM_TOLERANCE:
            raise InvalidAnswerError(f"scores have the sum {total:g}: give probabilities of 1")
        return Answer("multiclass", max(body.scores.values()), body.scores)
    if isinstance(body.prediction, float):
        return Answer("regression", body.prediction)
    if body.score is None:
        return None
    if not 0.0 <= body.score <= 1.0:
        raise InvalidAnswerError(f"score is {body.score!r}: a probability lies between 0 and 1")
    return Answer("binary", body.score)


class Answers:
    """What is known of versions, as far as answers and labels need it."""

    def __init__(self, state: State) -> None:
        self._state = state

    def bin_of(self, model: str, version: str, answer: Answer) -> int:
        """The bin of an answer in the distribution of the version's answers.

        Raises:
            InvalidAnswerError: it is no answer of this version.
        """
        if answer.task == "binary":
            return score_bin(answer.number)
        facts = self._facts(model, version)
        if answer.scores is None:
            return number_bin(answer.number, facts.answer_edges) if facts else 0
        names = answer.scores
        classes = list(facts.classes) if facts else sorted(names)
        if strange := sorted(set(names) - set(classes)):
            raise InvalidAnswerError(
                f"scores name {strange[0]}: version {version} knows {', '.join(classes[:10])}"
            )
        scores = [answer.scores.get(name, 0.0) for name in classes]
        return decision(_loss(facts, answer.task), scores)

    def cost(self, model: str, version: str, of: Waiting) -> Cost | None:
        """What an answer cost; None of one without a label.

        Raises:
            InvalidLabelError: the label cannot be the truth about it.
        """
        if not of.complete:
            return None
        facts = self._facts(model, version)
        loss = _loss(facts, of.task)
        if of.task == "regression":
            return Cost(loss_of_number(loss, of.score, number_of(of.label)), bits=FINE_BITS)
        classes = facts.classes if facts else ()
        if of.scores is None:
            truth = class_of(of.label, classes)
            return Cost(loss_of_class(loss, (1 - of.score, of.score), truth), truth == 1)
        classes = classes or sorted(of.scores)
        scores = [of.scores.get(name, 0.0) for name in classes]
        return Cost(loss_of_class(loss, scores, class_of(of.label, classes)), bits=FINE_BITS)

    def check(self, model: str, known: Waiting | None, label: float | str) -> None:
        """Refuse what cannot be the truth about a prediction.

        While it has not come, the version that serves is asked.

        Raises:
            InvalidLabelError: it names no class of a binary model, or is no number.
        """
        answered = known is not None and known.score == known.score
        if known is not None and known.predicted:
            slice_ = self._state.slices.get(known.slice)
            version = slice_.version if slice_ else ""
        else:
            serving = self._state.serving.get(model)
            version = serving.version if serving else ""
        facts = self._facts(model, version)
        if known is not None and answered:
            task = known.task
        elif facts is not None:
            task = facts.task
        else:
            return
        if task == "regression":
            number_of(label)
        elif task == "binary" or facts is not None:
            class_of(label, facts.classes if facts is not None else ())

    def _facts(self, model: str, version: str) -> ModelVersion | None:
        return self._state.versions.get(key_of(model, version))


def _loss(facts: ModelVersion | None, task: str) -> Loss:
    return facts.loss if facts is not None and facts.task == task else _OF_TASK[task]
