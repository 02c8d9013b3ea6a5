"""Scores predictions whose versions run in other processes."""

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence
from typing import Protocol

from predictor.domain.answer import probability
from predictor.domain.batching import grouped
from predictor.domain.errors import CannotAnswerError, ModelFailedError, RefusalError
from predictor.domain.features import Value
from predictor.handlers.loaded import LoadedVersion
from predictor.ports import RemoteModel

log = logging.getLogger(__name__)


class Scored(Protocol):
    """What is scored: a row that gets a score or an error."""

    version: LoadedVersion
    row: list[Value]
    score: float | None
    error: RefusalError | None
    inference_ms: float


async def score_remotely(batch: Iterable[Scored]) -> None:
    """Give each row that has neither score nor error its score, or why there is none."""
    groups = grouped((p.version, p) for p in batch if p.error is None and p.score is None)
    await asyncio.gather(
        *(
            _score(version, version.remote, group)
            for version, group in groups.items()
            if version.remote is not None
        )
    )


async def _score(version: LoadedVersion, remote: RemoteModel, group: Sequence[Scored]) -> None:
    started = time.perf_counter()
    try:
        answers = await asyncio.wrap_future(remote.submit([each.row for each in group]))
    except CannotAnswerError as refusal:  # also a batch that was lost with its process
        answers = [refusal] * len(group)
    took = (time.perf_counter() - started) * 1000
    for each, answer in zip(group, answers, strict=True):
        each.inference_ms = took
        try:
            if isinstance(answer, CannotAnswerError):
                raise answer
            each.score = probability(answer)
        except CannotAnswerError as failure:
            if isinstance(failure, ModelFailedError):
                log.error("%s version %s: %s", version.model, version.version, failure.message)
            each.error = failure
