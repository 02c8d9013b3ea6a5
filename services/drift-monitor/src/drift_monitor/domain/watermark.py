"""How far event time has come, without believing a single broken clock."""

from dataclasses import dataclass


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
    """Event time of the earliest voter."""
    votes: int = 0

    def saw(self, time: int, max_jump: int, votes_needed: int) -> "Watermark":
        """The watermark after one more prediction; repeats of a prediction are not to be given."""
        if self.time is not None and time - self.time <= max_jump:
            if time <= self.time and not self.votes:
                return self
            return Watermark(max(self.time, time), self.earliest, max(0, self.votes - 1))
        earliest = min(self.earliest, time) if self.votes else time
        if self.votes + 1 >= votes_needed:
            return Watermark(earliest)
        return Watermark(self.time, earliest, self.votes + 1)


NOTHING_SEEN = Watermark()
