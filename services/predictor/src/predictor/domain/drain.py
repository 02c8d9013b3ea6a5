"""How fast requests come to their end while more of them come than can be taken."""

import math

WINDOW_SECONDS = 0.5
"""Over which a rate is taken."""


class Drain:
    """The rate of a predictor that refuses; one that does not has no need to be measured."""

    __slots__ = ("_began", "_done", "_per_second", "_refusing", "_was_refusing")

    def __init__(self, now: float) -> None:
        """Knows nothing yet.

        Args:
            now: monotonic seconds.
        """
        self._began = now
        self._done = 0
        self._refusing = False
        self._was_refusing = False
        self._per_second: float | None = None

    def settled(self, count: int, now: float) -> None:
        """So many have come to their end."""
        self._roll(now)
        self._done += count

    def refused(self, now: float) -> None:
        """One was turned away."""
        self._roll(now)
        self._refusing = True

    def seconds(self, under_way: int) -> float:
        """How long it takes until so many are done; 0 where nothing is known."""
        if self._per_second is None:
            return 0.0
        return under_way / self._per_second if self._per_second else math.inf

    def _roll(self, now: float) -> None:
        elapsed = now - self._began
        if elapsed < WINDOW_SECONDS:
            return
        # What comes to its end while nobody is refused is what came in, and no measure of what
        # could: the window counts when it was full from its beginning on.
        busy = self._refusing and self._was_refusing
        self._per_second = self._done / elapsed if busy else None
        self._began, self._done = now, 0
        self._was_refusing, self._refusing = self._refusing, False


def retry_after(seconds: float, least: int, most: int) -> int:
    """What `Retry-After` says, in whole seconds."""
    return most if seconds >= most else max(least, math.ceil(seconds))
