"""Gives an answer again, where the policy of a version allows it.

An outage is a miss: it is counted, the model runs, and no caller notices.
"""

import struct
import time
from collections import Counter
from collections.abc import Callable, Sequence
from hashlib import blake2b

from predictor.domain.answer import Answer, Answers
from predictor.domain.errors import ModelFailedError
from predictor.domain.features import Value
from predictor.ports import KeptScores
from predictor.serving.breaker import Breaker
from predictor.serving.metrics import CACHE_FAILURES, CACHE_HITS, CACHE_MISSES
from predictor.serving.prediction import Prediction

PREFIX = "tailrace:score:"
_TAG = 32
"""Bytes of a digest, in hexadecimal."""

Misses = Sequence[tuple[bytes, Prediction]]
"""Predictions whose answers were not there, each with the name that it would have."""


class PredictionCache:
    """Answers behind a circuit breaker.

    Args:
        timeout: seconds after which a read or a write has failed.
        pause: seconds without either after one that failed.
    """

    def __init__(
        self,
        kept: KeptScores,
        *,
        timeout: float,
        pause: float,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._kept = kept
        self._breaker = Breaker(
            "the prediction cache", CACHE_FAILURES, timeout=timeout, pause=pause, now=now
        )

    async def look_up(self, batch: Sequence[Prediction]) -> Misses:
        """Give predictions the answers that are there; returns those that may be kept later."""
        asked = [
            (_key(each), each)
            for each in batch
            if each.version.cache_seconds is not None and each.error is None
        ]
        if not asked:
            return ()
        keys = [key for key, _ in asked]
        found = await self._breaker.ask(lambda: self._kept.get(keys))
        if found is None:
            found = [None] * len(asked)
        misses: list[tuple[bytes, Prediction]] = []
        for (key, each), data in zip(asked, found, strict=True):
            answer = unpacked(key, data, each.version.answers)
            each.cached = answer is not None
            if answer is None:
                misses.append((key, each))
            else:
                each.answered(answer)
        _count(asked)
        return misses

    async def keep(self, misses: Misses) -> None:
        """Keep what the models have answered since."""
        entries = [
            (key, packed(key, each.answer), each.version.cache_seconds)
            for key, each in misses
            if each.answer is not None and each.version.cache_seconds is not None
        ]
        if entries:
            await self._breaker.ask(lambda: self._kept.put(entries))

    async def close(self) -> None:
        """Close the connections."""
        await self._kept.close()


def _key(each: Prediction) -> bytes:
    version = each.version
    return score_key(version.model, version.version, version.sha256, each.entity, each.row)


def _count(asked: Misses) -> None:
    counts = Counter((each.version.model, each.cached) for _, each in asked)
    for (model, hit), count in counts.items():
        (CACHE_HITS if hit else CACHE_MISSES).labels(model).inc(count)


def score_key(model: str, version: str, sha256: str, entity: str, row: Sequence[Value]) -> bytes:
    """Names the answer to a row, as the model sees it.

    Model and version stand in it for people who look for them; the rest is a digest of everything
    that the answer depends on, the digest of the model's file included. `repr` tells any two values
    apart, numbers by their last bit, so two rows share a name only where a hash of 128 bits does.
    """
    described = repr((model, version, sha256, entity, *row)).encode()
    digest = blake2b(described, digest_size=16).hexdigest()
    return f"{PREFIX}{model}:{version}:{digest}".encode()


def packed(key: bytes, answer: Answer) -> bytes:
    """An answer as it is kept under a name: the same numbers come back, under that name alone."""
    values = answer if isinstance(answer, tuple) else (answer,)
    return struct.pack(f">{len(values)}d", *values) + key[-_TAG:]


def unpacked(key: bytes, data: bytes | None, answers: Answers) -> Answer | None:
    """The answer that was kept under a name; None for nothing, and for whatever else lies there.

    The end of the name stands beside the answer, so that one to another question, however it came
    here, is never taken for this one's.
    """
    classes = len(answers.target.classes) if answers.target.task == "multiclass" else None
    size = 8 * (classes or 1)
    if data is None or len(data) != size + _TAG or data[size:] != key[-_TAG:]:
        return None
    values = struct.unpack_from(f">{classes or 1}d", data)
    answer = values if classes else values[0]
    try:
        return answer if answers.checked(answer) == answer else None
    except ModelFailedError:
        return None
