"""What a model is to answer, and what its answers cost, a column at a time.

The truth of a row is a number: the label of a regression, otherwise the place of its class, -1 for
one that the model does not know. The answers to n rows are `[n]` probabilities of the positive
class, `[n, classes]` probabilities, or `[n]` numbers, by task.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from event_schemas.task import CLIP, MAX_CLASSES, Target
from trainer.domain.failure import TrainingError

Floats = NDArray[np.float64]


def completed(target: Target, labels: NDArray[Any]) -> Target:
    """A target with classes: where none is named, those of the training rows by the alphabet.

    Raises:
        TrainingError: the training rows have too few classes, too many, or lack one that is named.
    """
    if not target.of_names:
        return target
    found = sorted(set(labels.tolist()))
    if target.classes:
        if absent := [name for name in target.classes if name not in found]:
            raise TrainingError(
                "prepare",
                f"classes: none of {len(labels)} training rows has the label {', '.join(absent)};"
                " leave it out until some have",
            )
        return target
    if not 3 <= len(found) <= MAX_CLASSES:
        raise TrainingError(
            "prepare",
            f"the {len(labels)} training rows have {len(found)} classes, and a multiclass model has"
            f" 3 to {MAX_CLASSES}: {', '.join(found[:5])}",
        )
    return replace(target, classes=tuple(found))


def truth_of(target: Target, labels: NDArray[Any]) -> Floats:
    """The truth of each row.

    Raises:
        TrainingError: a label of a binary model is none of its classes.
    """
    if not target.of_names:
        return labels
    names, inverse = np.unique(labels.astype(np.str_), return_inverse=True)
    places = [target.classes.index(n) if n in target.classes else -1 for n in names.tolist()]
    if target.task == "binary" and -1 in places:
        raise TrainingError(
            "read",
            f"training.label: the label {str(names[places.index(-1)])!r} is none of the classes,"
            f" {' and '.join(target.classes)}",
        )
    return np.array(places, np.float64)[inverse]


def losses(target: Target, truth: Floats, answers: Floats) -> Floats:
    """The loss of each row: `event_schemas.task`, a column at a time."""
    loss = target.loss
    if target.task == "regression":
        error = truth - answers
        if loss.name == "absolute_error":
            return np.abs(error)
        if loss.name == "pinball":
            return np.maximum(loss.quantile * error, (loss.quantile - 1) * error)
        return error**2
    places = truth.astype(np.intp)
    if loss.name == "cost":
        # The row at -1 is that of a class which the model does not know.
        dearest = np.full((1, len(loss.costs)), np.max(loss.costs))
        return np.vstack([loss.costs, dearest])[places, decisions(target, answers)]
    scores = by_class(target, answers)
    given = np.where(places >= 0, scores[np.arange(len(scores)), places], 0.0)
    return -np.log(np.clip(given, CLIP, 1 - CLIP))


def decisions(target: Target, answers: Floats) -> NDArray[np.intp]:
    """The class that is acted on in each row: that of the least expected cost, or the likeliest."""
    scores = by_class(target, answers)
    if target.loss.name == "cost":
        return np.argmin(scores @ np.array(target.loss.costs), axis=1)
    return np.argmax(scores, axis=1)


def by_class(target: Target, answers: Floats) -> Floats:
    """Probabilities `[n, classes]`."""
    if target.task == "multiclass":
        return answers
    return np.stack([1.0 - answers, answers], axis=1).astype(np.float64)


def constant_answer(target: Target, truth: Floats) -> Floats:
    """The best answer to all rows alike, as one row: what no model may fall short of.

    Args:
        target: What is to be answered.
        truth: Of the training rows.

    Returns:
        Shares of the classes, or the number of the least mean loss.
    """
    if target.task == "multiclass":
        counts = np.bincount(truth.astype(np.intp), minlength=len(target.classes))
        return (counts / len(truth))[np.newaxis]
    if target.loss.name == "absolute_error":
        return np.array([np.median(truth)])
    if target.loss.name == "pinball":
        return np.array([np.quantile(truth, target.loss.quantile, method="inverted_cdf")])
    return np.array([float(np.mean(truth))])


def repeated(answer: Floats, rows: int) -> Floats:
    """One answer, given to each of some rows."""
    return np.repeat(answer, rows, axis=0)


def in_classes_of(target: Target, scores: Floats, classes: Sequence[str]) -> Floats:
    """Scores of another version in the order of this one's classes; 0 for those that it lacks."""
    columns = [classes.index(n) if n in classes else -1 for n in target.classes]
    padded = np.concatenate([scores, np.zeros((len(scores), 1))], axis=1)
    return padded[:, columns]
