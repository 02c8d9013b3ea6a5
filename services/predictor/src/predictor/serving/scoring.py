"""Runs versions over the rows of predictions, in this process or in child processes."""

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence

from predictor.domain.answer import Answer
from predictor.domain.errors import CannotAnswerError, ModelFailedError
from predictor.domain.features import Value
from predictor.ports import ChildModel
from predictor.serving.prediction import Prediction
from predictor.serving.routes.loaded import LoadedVersion

log = logging.getLogger(__name__)

Outcome = Answer | CannotAnswerError
"""An answer, or why there is none."""


def score(batch: Iterable[Prediction]) -> None:
    """Give each row that this process scores a score or an error, in one run a version."""
    for version, group in _unscored(batch).items():
        if version.child is None:
            started = time.perf_counter()
            found = outcomes(version, [each.row for each in group])
            _give(version, group, found, time.perf_counter() - started)


async def score_in_children(batch: Iterable[Prediction]) -> None:
    """Give each row that a child process scores a score or an error; the versions run at once."""
    await asyncio.gather(
        *(
            _score_in_child(version, version.child, group)
            for version, group in _unscored(batch).items()
            if version.child is not None
        )
    )


async def _score_in_child(
    version: LoadedVersion, child: ChildModel, group: Sequence[Prediction]
) -> None:
    started = time.perf_counter()
    try:
        answers = await asyncio.wrap_future(child.submit([each.row for each in group]))
    except CannotAnswerError as refusal:  # also a batch that was lost with its process
        answers = [refusal] * len(group)
    _give(
        version, group, [_checked(version, each) for each in answers], time.perf_counter() - started
    )


def _unscored(batch: Iterable[Prediction]) -> dict[LoadedVersion, list[Prediction]]:
    """What has neither answer nor error, by version."""
    groups: dict[LoadedVersion, list[Prediction]] = {}
    for each in batch:
        if each.error is None and each.answer is None:
            groups.setdefault(each.version, []).append(each)
    return groups


def outcomes(version: LoadedVersion, rows: Sequence[Sequence[Value]]) -> list[Outcome]:
    """What a version says of each row, in one run; one that breaks it fails alone."""
    try:
        return [_checked(version, given) for given in version.scorer.answers(rows)]
    except CannotAnswerError:
        return [_alone(version, row) for row in rows]


def _alone(version: LoadedVersion, row: Sequence[Value]) -> Outcome:
    try:
        return _checked(version, version.scorer.answers([row])[0])
    except CannotAnswerError as error:
        return error


def _checked(version: LoadedVersion, given: Outcome) -> Outcome:
    """What a model gave, held to be an answer."""
    try:
        return given if isinstance(given, CannotAnswerError) else version.answers.checked(given)
    except ModelFailedError as failure:
        return failure


def _give(
    version: LoadedVersion, group: Sequence[Prediction], found: Sequence[Outcome], seconds: float
) -> None:
    """Write down what came of the rows of a version, and how long its run took."""
    for each, outcome in zip(group, found, strict=True):
        each.inference_ms = seconds * 1000
        if not isinstance(outcome, CannotAnswerError):
            each.answered(outcome)
            continue
        if isinstance(outcome, ModelFailedError):
            log.error("%s version %s: %s", version.model, version.version, outcome.message)
        each.error = outcome
