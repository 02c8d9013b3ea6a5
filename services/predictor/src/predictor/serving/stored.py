"""Reads the feature store for a batch, and leaves it alone for a while when it is away."""

import time
from collections.abc import Callable, Iterable, Sequence

from predictor.domain.batching import lookups
from predictor.domain.features import Signature, Stored, Value
from predictor.domain.last_known import LastKnown
from predictor.ports import OnlineFeatures
from predictor.serving.breaker import Breaker
from predictor.serving.metrics import STORE_FAILURES


class StoredFeatures:
    """A store behind a circuit breaker."""

    def __init__(
        self,
        features: OnlineFeatures,
        *,
        timeout: float,
        pause: float,
        last_known: int = 1,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Reads when asked.

        Args:
            features: the store.
            timeout: seconds after which a read has failed.
            pause: seconds without a read after one that failed.
            last_known: values to remember for inputs that may have their last known one.
            now: monotonic seconds.
        """
        self._features = features
        self._breaker = Breaker(
            "the feature store", STORE_FAILURES, timeout=timeout, pause=pause, now=now
        )
        self.last_known = LastKnown(last_known)
        """For inputs that may have what the store had last."""

    async def read(self, rows: Iterable[tuple[Signature, Sequence[Value]]]) -> Stored | None:
        """The cells that the rows need; None when the store is away."""
        wanted = lookups(rows)
        if not wanted:
            return {}
        return await self._breaker.ask(lambda: self._features.read(wanted))
