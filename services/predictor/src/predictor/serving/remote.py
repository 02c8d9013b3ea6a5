"""Scores predictions whose versions run in other processes."""

import asyncio
import time
from collections.abc import Iterable, Sequence

from predictor.domain.errors import CannotAnswerError
from predictor.ports import ChildModel
from predictor.serving.routes.loaded import LoadedVersion
from predictor.serving.scoring import Scored, checked, give, unscored


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
