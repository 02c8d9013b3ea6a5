"""Which of a replica's predictions never came, told by the numbers that it gave them."""

from bisect import bisect_right
from dataclasses import dataclass

MAX_GAPS = 1000
"""Gaps remembered of one replica; beyond, the oldest is forgotten and no longer counts."""


@dataclass(frozen=True, slots=True)
class Sequences:
    """The numbers received of one replica, as their range and the gaps in it.

    A replica counts over all its models and arms, so gaps are kept for the replica and not for an
    arm: nobody knows which arm a lost prediction belonged to.
    """

    first: int
    last: int
    gaps: tuple[tuple[int, int], ...] = ()
    """Ranges that did not come, both ends missing, ascending."""
    seen: int = 0
    """Newest event time of the replica's predictions."""

    def received(self, number: int, time: int) -> "Sequences":
        """The same with one more number; a number that has come before changes nothing."""
        seen = max(self.seen, time)
        if number == self.last + 1:
            return Sequences(self.first, number, self.gaps, seen)
        if number > self.last:
            gaps = (*self.gaps, (self.last + 1, number - 1))[-MAX_GAPS:]
            return Sequences(self.first, number, gaps, seen)
        if number < self.first:
            before = ((number + 1, self.first - 1),) if number + 1 < self.first else ()
            return Sequences(number, self.last, (*before, *self.gaps)[-MAX_GAPS:], seen)
        at = bisect_right(self.gaps, (number, self.last)) - 1
        if at < 0 or not self.gaps[at][0] <= number <= self.gaps[at][1]:
            return self if seen == self.seen else Sequences(self.first, self.last, self.gaps, seen)
        low, high = self.gaps[at]
        split = tuple(
            part for part in ((low, number - 1), (number + 1, high)) if part[0] <= part[1]
        )
        gaps = (*self.gaps[:at], *split, *self.gaps[at + 1 :])[-MAX_GAPS:]
        return Sequences(self.first, self.last, gaps, seen)

    def missing(self, low: int, high: int) -> int:
        """How many of the numbers from `low` to `high`, both included, did not come."""
        return sum(
            max(0, min(high, end) - max(low, start) + 1)
            for start, end in self.gaps
            if start <= high and end >= low
        )
