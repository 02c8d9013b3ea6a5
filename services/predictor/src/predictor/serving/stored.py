"""Fills the rows of a batch from the feature store, and leaves that alone while it is away."""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import islice

from predictor.domain.batching import lookups
from predictor.domain.errors import RefusalError
from predictor.domain.features import Gap, LastKnown, Signature, Stored, Value
from predictor.ports import OnlineFeatures
from predictor.serving.breaker import Breaker
from predictor.serving.metrics import FEATURE_AGE, GAPS, STORE_FAILURES
from predictor.serving.prediction import Prediction

log = logging.getLogger(__name__)


class StoredFeatures:
    """A store behind a circuit breaker.

    Args:
        timeout: seconds after which a read has failed.
        pause: seconds without a read after one that failed.
        last_known: values to remember for inputs that may have their last known one.
        metered: whether gaps and ages are counted.
    """

    def __init__(
        self,
        features: OnlineFeatures,
        *,
        timeout: float,
        pause: float,
        last_known: int = 1,
        metered: bool = True,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._features = features
        self._breaker = Breaker(
            "the feature store", STORE_FAILURES, timeout=timeout, pause=pause, now=now
        )
        self._last_known = LastKnown(last_known)
        self._metered = metered

    async def fill_rows(self, batch: Sequence[Prediction]) -> None:
        """Put the stored values into the rows, or note why that cannot be."""
        started = time.perf_counter()
        stored: Stored | None = None
        try:
            stored = await self.read((p.version.signature, p.row) for p in batch if p.error is None)
        except Exception:
            log.exception("reading the feature store")
        if stored and self._metered:
            # The age of the first stored row alone: each would cost every request.
            for _, written_at in islice(next(iter(stored.values())).values(), 1):
                FEATURE_AGE.observe(max(0.0, batch[0].event_time.timestamp() - written_at))
        took = (time.perf_counter() - started) * 1000
        for each in batch:
            each.features_ms = took
            signature = each.version.signature
            if each.error is not None or not signature.lookups:
                continue
            gaps: list[Gap] = []
            known = self._last_known if signature.remembers else None
            try:
                signature.fill(each.row, stored, each.event_time.timestamp(), gaps, known)
            except RefusalError as refusal:
                each.error = refusal
            if self._metered:
                for gap in gaps:
                    GAPS.labels(each.version.model, *gap).inc()

    async def read(self, rows: Iterable[tuple[Signature, Sequence[Value]]]) -> Stored | None:
        """The cells that the rows need; None when the store is away."""
        wanted = lookups(rows)
        if not wanted:
            return {}
        return await self._breaker.ask(lambda: self._features.read(wanted))
