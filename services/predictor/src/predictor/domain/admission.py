"""Whether one more request may come in, and when a refused one may come again."""

import math
from typing import Literal

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
