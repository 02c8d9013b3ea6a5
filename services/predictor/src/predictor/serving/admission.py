"""Counts what is under way, and refuses what is too much."""

import time
from collections.abc import Callable

from predictor.domain.admission import DrainRate, admitted, retry_after
from predictor.domain.errors import OverloadedError, OverShareError, shown


class Admission:
    """The door of the predictor.

    Args:
        limit: predictions that may be under way.
        share: of the limit that one model may take while all others are idle.
        least_wait: seconds that a refused caller is told to wait at least.
        most_wait: seconds that a refused caller is told to wait at most.
        now: monotonic seconds.
    """

    def __init__(
        self,
        limit: int,
        share: float = 1.0,
        least_wait: int = 1,
        most_wait: int = 30,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit = limit
        self._share = share
        self._least_wait = least_wait
        self._most_wait = most_wait
        self._now = now
        self._by_model: dict[str, int] = {}
        self._drain = DrainRate(now())
        self.under_way = 0
        """Predictions that have no answer yet."""

    def require_room(self, model: str, wanted: int, waiting: int, alone: bool) -> None:
        """Raise when so many more predictions of a model may not come in.

        Args:
            model: which is asked.
            wanted: how many.
            waiting: predictions that wait for a batch; some may have been answered meanwhile.
            alone: whether there is no other model, for which room would have to be left.

        Raises:
            OverloadedError: there is no room.
            OverShareError: there is, but not for this model.
        """
        under_way = max(self.under_way, waiting)
        if alone and under_way + wanted <= self._limit:
            return
        of_model = self._by_model.get(model, 0)
        verdict = admitted(
            wanted=wanted,
            of_model=of_model,
            under_way=under_way,
            limit=self._limit,
            share=1.0 if alone else self._share,
        )
        if verdict == "admitted":
            return
        self._drain.refused(self._now())
        wait = retry_after(self._drain.seconds(under_way), self._least_wait, self._most_wait)
        if verdict == "full":
            raise OverloadedError(
                "overloaded",
                f"{under_way} predictions are under way, of {self._limit}: try again in {wait} s",
                retry_after=wait,
            )
        raise OverShareError(
            "over_share",
            f"{of_model} predictions of {shown(model)} are under way, and other models are to have"
            f" room too: try again in {wait} s",
            retry_after=wait,
        )

    def start(self, model: str) -> None:
        """Count a prediction of a model as under way."""
        self.under_way += 1
        self._by_model[model] = self._by_model.get(model, 0) + 1

    def finish(self, model: str) -> None:
        """Count a prediction of a model as under way no more."""
        self.under_way -= 1
        self._by_model[model] -= 1

    def measure(self, count: int) -> None:
        """Note that so many were finished together, for the rate."""
        self._drain.finished(count, self._now())
