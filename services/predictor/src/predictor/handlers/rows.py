"""Scores rows that nobody waits for, by the same steps as a request's."""

from collections.abc import Sequence

from predictor.domain.answer import probability
from predictor.domain.errors import CannotAnswerError, ModelFailedError
from predictor.domain.features import Value
from predictor.handlers.loaded import LoadedVersion

Outcome = float | CannotAnswerError
"""The probability of the positive class, or why there is none."""


def score_rows(
    version: LoadedVersion, rows: Sequence[Sequence[Value]], max_rows: int
) -> list[Outcome]:
    """What a version says of each row; one that breaks it fails alone.

    Args:
        version: scores.
        rows: complete.
        max_rows: of one run of the model.
    """
    found: list[Outcome] = []
    for at in range(0, len(rows), max_rows):
        chunk = rows[at : at + max_rows]
        try:
            found += map(_checked, version.scorer.scores(chunk))
        except CannotAnswerError:
            found += [_alone(version, row) for row in chunk]
    return found


def _alone(version: LoadedVersion, row: Sequence[Value]) -> Outcome:
    try:
        return _checked(version.scorer.scores([row])[0])
    except CannotAnswerError as error:
        return error


def _checked(score: float) -> Outcome:
    try:
        return probability(score)
    except ModelFailedError as error:
        return error
