"""Runs versions over the rows of predictions, in this process or in child processes."""

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol

from predictor.domain.answer import probability
from predictor.domain.batching import grouped
from predictor.domain.errors import CannotAnswerError, ModelFailedError, RefusalError
from predictor.domain.features import Gap, Stored, Value
from predictor.domain.last_known import LastKnown
from predictor.ports import ChildModel
from predictor.serving.routes.loaded import LoadedVersion

log = logging.getLogger(__name__)

Outcome = float | CannotAnswerError
"""The probability of the positive class, or why there is none."""


class Scored(Protocol):
    """What is scored: a row that gets a score or an error."""

    version: LoadedVersion
    row: list[Value]
    score: float | None
    error: RefusalError | None
    inference_ms: float


class Filled(Scored, Protocol):
    """What is filled: a row, asked about at a time."""

    event_time: datetime


def fill(
    batch: Iterable[Filled], stored: Stored | None, last_known: LastKnown
) -> list[tuple[str, Gap]]:
    """Put the stored values into the rows, or why that cannot be; the gaps, by model.

    Args:
        batch: changed in place.
        stored: what the store gave; None when it could not be read.
        last_known: values for inputs that may have the last known one.
    """
    gaps: list[tuple[str, Gap]] = []
    for each in batch:
        signature = each.version.signature
        if each.error is not None or not signature.lookups:
            continue
        missing: list[Gap] = []
        try:
            known = last_known if signature.remembers else None
            signature.fill(each.row, stored, each.event_time.timestamp(), missing, known)
        except RefusalError as refusal:
            each.error = refusal
        gaps += [(each.version.model, gap) for gap in missing]
    return gaps


def score(batch: Iterable[Scored]) -> None:
    """Give each row with neither score nor error one of them, in one run a version."""
    for version, group in unscored(batch).items():
        started = time.perf_counter()
        found = outcomes(version, [each.row for each in group])
        give(version, group, found, time.perf_counter() - started)


async def score_remotely(batch: Iterable[Scored]) -> None:
    """Give each row that has neither score nor error its score, or why there is none."""
    await asyncio.gather(
        *(
            _score(version, version.remote, group)
            for version, group in unscored(batch).items()
            if version.remote is not None
        )
    )


async def _score(version: LoadedVersion, remote: ChildModel, group: Sequence[Scored]) -> None:
    started = time.perf_counter()
    try:
        answers = await asyncio.wrap_future(remote.submit([each.row for each in group]))
    except CannotAnswerError as refusal:  # also a batch that was lost with its process
        answers = [refusal] * len(group)
    give(version, group, list(map(checked, answers)), time.perf_counter() - started)


def unscored(batch: Iterable[Scored]) -> dict[LoadedVersion, list[Scored]]:
    """What has neither score nor error, by version."""
    return grouped((p.version, p) for p in batch if p.error is None and p.score is None)


def outcomes(version: LoadedVersion, rows: Sequence[Sequence[Value]]) -> list[Outcome]:
    """What a version says of each row, in one run; one that breaks it fails alone."""
    try:
        return [checked(given) for given in version.scorer.scores(rows)]
    except CannotAnswerError:
        return [_alone(version, row) for row in rows]


def _alone(version: LoadedVersion, row: Sequence[Value]) -> Outcome:
    try:
        return checked(version.scorer.scores([row])[0])
    except CannotAnswerError as error:
        return error


def checked(given: Outcome) -> Outcome:
    """What a model gave, held to be a probability."""
    try:
        return given if isinstance(given, CannotAnswerError) else probability(given)
    except ModelFailedError as failure:
        return failure


def give(
    version: LoadedVersion, group: Sequence[Scored], found: Sequence[Outcome], seconds: float
) -> None:
    """Write down what came of the rows of a version, and how long its run took."""
    for each, outcome in zip(group, found, strict=True):
        each.inference_ms = seconds * 1000
        if not isinstance(outcome, CannotAnswerError):
            each.score = outcome
            continue
        if isinstance(outcome, ModelFailedError):
            log.error("%s version %s: %s", version.model, version.version, outcome.message)
        each.error = outcome
