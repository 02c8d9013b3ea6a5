"""Whether more requests may come in, and when a refused one may come again."""

import math
from collections.abc import Callable
from typing import Literal

from predictor.domain.errors import OverloadedError, OverShareError, shown

Verdict = Literal["admitted", "over_share", "full"]
WINDOW_SECONDS = 0.5
"""The time over which the drain rate is taken."""


def admitted(*, wanted: int, of_model: int, under_way: int, limit: int, share: float) -> Verdict:
    """Whether a model may have more predictions under way.

    A model may grow while it has fewer under way than a multiple of the places that are still free;
    the multiple is chosen so that a model that is alone busy comes to its share, two come to less
    each, and some room is always left for a model that has nothing under way. Switches divide their
    buffers among ports by the same rule (Choudhury and Hahne, 1998).

    Args:
        wanted: predictions that want to come in.
        of_model: under way for their model.
        under_way: of all models.
        limit: most that may be under way.
        share: of the limit that one model may take while all others are idle; 1 for all of it.
    """
    free = limit - under_way
    if wanted > free:
        return "full"
    multiple = math.inf if share >= 1.0 else share / (1.0 - share)
    # What is wanted has come in then: a request of many is to find room as well.
    if of_model and of_model + wanted > multiple * (free - wanted):
        return "over_share"
    return "admitted"


class DrainRate:
    """How fast predictions are finished while requests are refused.

    A predictor that refuses nobody has no need to be measured. `now` is in monotonic seconds.
    """

    __slots__ = ("_began", "_done", "_per_second", "_refusing", "_was_refusing")

    def __init__(self, now: float) -> None:
        self._began = now
        self._done = 0
        self._refusing = False
        self._was_refusing = False
        self._per_second: float | None = None

    def finished(self, count: int, now: float) -> None:
        """Count predictions that were finished."""
        self._roll(now)
        self._done += count

    def refused(self, now: float) -> None:
        """Count a request that was refused."""
        self._roll(now)
        self._refusing = True

    def seconds(self, under_way: int) -> float:
        """How long so many predictions take; 0 where nothing was measured."""
        if self._per_second is None:
            return 0.0
        return under_way / self._per_second if self._per_second else math.inf

    def _roll(self, now: float) -> None:
        elapsed = now - self._began
        if elapsed < WINDOW_SECONDS:
            return
        # What is finished while nobody is refused is what came in, and no measure of what could:
        # the window counts when it was full from its beginning on.
        busy = self._refusing and self._was_refusing
        self._per_second = self._done / elapsed if busy else None
        self._began, self._done = now, 0
        self._was_refusing, self._refusing = self._refusing, False


def retry_after(seconds: float, least: int, most: int) -> int:
    """What `Retry-After` says, in whole seconds."""
    return most if seconds >= most else max(least, math.ceil(seconds))


class Admission:
    """Counts what is under way, and refuses what is too much.

    Args:
        limit: predictions that may be under way.
        share: of the limit that one model may take while all others are idle.
        least_wait: seconds that a refused caller is told to wait at least.
        most_wait: seconds that a refused caller is told to wait at most.
    """

    def __init__(
        self,
        limit: int,
        share: float = 1.0,
        least_wait: int = 1,
        most_wait: int = 30,
        *,
        now: Callable[[], float],
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
