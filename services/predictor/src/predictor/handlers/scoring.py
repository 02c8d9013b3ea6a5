"""Fills the rows of predictions and runs their versions over them, in this process."""

import logging
import time
from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

from predictor.domain.answer import probability
from predictor.domain.batching import grouped
from predictor.domain.errors import ModelFailedError, RefusalError
from predictor.domain.features import Gap, Stored
from predictor.domain.last_known import LastKnown
from predictor.handlers.loaded import LoadedVersion
from predictor.handlers.remote import Scored

log = logging.getLogger(__name__)


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
    groups = grouped((p.version, p) for p in batch if p.error is None and p.score is None)
    for version, group in groups.items():
        started = time.perf_counter()
        try:
            scores = version.scorer.scores([each.row for each in group])
        except ModelFailedError:
            scores = None
        for i, each in enumerate(group):
            try:
                # One bad row is not to fail its neighbours.
                given = scores[i] if scores else version.scorer.scores([each.row])[0]
                each.score = probability(given)
            except ModelFailedError as failure:
                tell(version, failure)
                each.error = failure
        took = (time.perf_counter() - started) * 1000
        for each in group:
            each.inference_ms = took


def tell(version: LoadedVersion, failure: ModelFailedError) -> None:
    """Write down that a version broke on a row."""
    log.error("%s version %s: %s", version.model, version.version, failure.message)
