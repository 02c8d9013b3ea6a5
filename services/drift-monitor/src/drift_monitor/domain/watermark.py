"""How far event time has come, without believing a single broken clock."""

from dataclasses import dataclass

MOST_SUPPORT = 1000
"""Predictions from which a watermark is as well supported as one can be."""


@dataclass(frozen=True, slots=True)
class Watermark:
    """The newest event time that can be believed; None before anything was seen.

    A prediction far ahead of the watermark does not move it: its clock may be wrong. It casts a
    vote, each ordinary prediction takes one back, and when enough of them stand together, time has
    really jumped (a quiet month, a replay that begins) and the watermark moves to the earliest of
    them. One device whose clock is wrong is outvoted by the traffic around it; after a true jump
    there is no ordinary traffic left. The start is such a jump, from nothing.
    """

    time: int | None = None
    earliest: int = 0
    """Event time of the earliest voter, or of the newest that came too late."""
    votes: int = 0
    behind: int = 0
    """Predictions in a row that came too late to count."""
    support: int = 0
    """Predictions in time since it was last set by a jump, up to `MOST_SUPPORT`."""

    def too_late(self, time: int, needed: int) -> "Watermark":
        """After a prediction that lies before all that is kept.

        Now and then one does, and many do when old ones are sent again. But when `needed` of them
        come and nothing else, and fewer than that ever supported the watermark, it is the watermark
        that is wrong, such as after a try with the time of today before a replay of the past: it is
        set back to the newest of them.
        """
        if self.support >= needed:
            return self
        newest = max(self.earliest, time) if self.behind else time
        if self.behind + 1 >= needed:
            return Watermark(newest, support=needed)
        return Watermark(self.time, newest, 0, self.behind + 1, self.support)

    def saw(self, time: int, max_jump: int, votes_needed: int) -> "Watermark":
        """The watermark after one more prediction; repeats of a prediction are not to be given."""
        if self.time is not None and time - self.time <= max_jump:
            support = min(self.support + 1, MOST_SUPPORT)
            if time <= self.time and not self.votes and not self.behind and support == self.support:
                return self
            votes = max(0, self.votes - 1)
            return Watermark(max(self.time, time), self.earliest, votes, 0, support)
        earliest = min(self.earliest, time) if self.votes else time
        if self.votes + 1 >= votes_needed:
            return Watermark(earliest, support=votes_needed)
        return Watermark(self.time, earliest, self.votes + 1, 0, self.support)


NOTHING_SEEN = Watermark()
