"""Reads the feature store for a batch, and leaves it alone for a while when it is away."""

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Sequence

from predictor.domain.batching import lookups
from predictor.domain.features import Signature, Stored, Value
from predictor.domain.last_known import LastKnown
from predictor.handlers.metrics import STORE_FAILURES
from predictor.ports import OnlineFeatures
from servicekit.errors import UnavailableError

log = logging.getLogger(__name__)


class StoredFeatures:
    """A store behind a time limit and a circuit breaker: an outage costs few requests a wait."""

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
        self._timeout = timeout
        self._pause = pause
        self._now = now
        self.last_known = LastKnown(last_known)
        """For inputs that may have what the store had last."""
        self._closed_until = -float("inf")

    async def read(self, rows: Iterable[tuple[Signature, Sequence[Value]]]) -> Stored | None:
        """The cells that the rows need; None when the store is away."""
        wanted = lookups(rows)
        if not wanted:
            return {}
        if self._now() < self._closed_until:
            return None
        try:
            async with asyncio.timeout(self._timeout):
                return await self._features.read(wanted)
        except (UnavailableError, TimeoutError) as error:
            self._closed_until = self._now() + self._pause
            STORE_FAILURES.inc()
            log.warning("the feature store is away for %.1f s: %r", self._pause, error)
            return None
