"""Counts what is under way, and turns away what is too much."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from predictor.domain.admission import DrainRate, admitted, retry_after
from predictor.domain.errors import OverloadedError, OverShareError, shown


@dataclass(frozen=True, slots=True)
class Room:
    """How much may be under way; see `PredictorSettings`."""

    limit: int
    share: float = 1.0
    least_wait: int = 1
    """Seconds that a caller is told to wait at least."""
    most_wait: int = 30
    """Seconds that a caller is told to wait at most."""


class Admission:
    """The door of the predictor."""

    def __init__(self, room: Room, now: Callable[[], float] = time.monotonic) -> None:
        """Open.

        Args:
            room: how much may be under way.
            now: monotonic seconds.
        """
        self._room = room
        self._now = now
        self._by_model: dict[str, int] = {}
        self._drain = DrainRate(now())
        self.under_way = 0
        """Predictions that have no answer yet."""

    def check(self, model: str, wanted: int, waiting: int, alone: bool) -> None:
        """Nothing where so many may come in.

        Args:
            model: which they ask.
            wanted: how many.
            waiting: that wait for a batch; some may have been answered meanwhile.
            alone: whether there is no other model, so that nobody is to be left room.

        Raises:
            OverloadedError: there is no room.
            OverShareError: there is, but not for this model.
        """
        room = self._room
        under_way = max(self.under_way, waiting)
        if alone and under_way + wanted <= room.limit:
            return
        of_model = self._by_model.get(model, 0)
        verdict = admitted(
            wanted=wanted,
            of_model=of_model,
            under_way=under_way,
            limit=room.limit,
            share=1.0 if alone else room.share,
        )
        if verdict == "admitted":
            return
        self._drain.refused(self._now())
        wait = retry_after(self._drain.seconds(under_way), room.least_wait, room.most_wait)
        if verdict == "full":
            raise OverloadedError(
                "overloaded",
                f"{under_way} predictions are under way, of {room.limit}: try again in {wait} s",
                retry_after=wait,
            )
        raise OverShareError(
            "over_share",
            f"{of_model} predictions of {shown(model)} are under way, and other models are to have"
            f" room too: try again in {wait} s",
            retry_after=wait,
        )

    def entered(self, model: str) -> None:
        """One of a model is under way."""
        self.under_way += 1
        self._by_model[model] = self._by_model.get(model, 0) + 1

    def left(self, model: str) -> None:
        """One of a model has come to its end."""
        self.under_way -= 1
        self._by_model[model] -= 1

    def settled(self, count: int) -> None:
        """So many have left together."""
        self._drain.finished(count, self._now())
