"""What a closed window says, and when it is said aloud."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Literal

from drift_monitor.domain.columns import BROKEN_SHARE, MissingShare
from drift_monitor.domain.confidence import lower_bound
from drift_monitor.domain.histograms import jensen_shannon
from drift_monitor.domain.loss import LossSums
from drift_monitor.domain.plan import Plan

Kind = Literal["data", "prediction", "performance", "broken_feed"]


class Outcome(Enum):
    """What one window says about one kind of drift."""

    BAD = "bad"
    FINE = "fine"
    UNKNOWN = "unknown"
    """Too few rows or no clear evidence: neither detects nor clears."""


@dataclass(frozen=True, slots=True)
class Shift:
    """How far one column moved from the reference."""

    column: str
    statistic: str
    value: float
    threshold: float
    effect: float | None = None
    """Difference of the means."""
    watched: bool = True

    @property
    def drifted(self) -> bool:
        """Whether it moved as far as the threshold."""
        return self.value >= self.threshold


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one window says about one kind of drift, and why."""

    kind: Kind
    outcome: Outcome
    shifts: tuple[Shift, ...]
    reason: str


def judge_feed(shares: Sequence[MissingShare]) -> Verdict:
    """Whether an input that the reference had is missing now."""
    shifts = tuple(
        Shift(s.column, "missing_share", s.current, BROKEN_SHARE, s.current - s.reference)
        for s in shares
    )
    broken = [s.column for s in shares if s.broken]
    if broken:
        return Verdict(
            "broken_feed", Outcome.BAD, shifts, f"no values any more: {', '.join(broken)}"
        )
    return Verdict("broken_feed", Outcome.FINE, shifts, "every input has values")


def judge_data(shifts: Sequence[Shift], plan: Plan) -> Verdict:
    """Whether enough of the watched columns drifted."""
    watched = [s for s in shifts if s.watched]
    drifted = [s for s in watched if s.drifted]
    if not watched:
        return Verdict("data", Outcome.UNKNOWN, tuple(shifts), "no watched column has values")
    names = ", ".join(
        f"{s.column} {s.value:.3f}" for s in sorted(drifted, key=lambda s: -s.value)[:5]
    )
    text = f"{len(drifted)} of {len(watched)} watched inputs drifted" + (names and f": {names}")
    bad = len(drifted) / len(watched) >= plan.drift_share and drifted
    return Verdict("data", Outcome.BAD if bad else Outcome.FINE, tuple(shifts), text)


def judge_scores(
    reference: Sequence[int],
    current: Sequence[int],
    plan: Plan,
    effect: float | None,
    column: str = "score",
) -> Verdict:
    """Whether the distribution of the answers moved: of the `score`, or of the `prediction`."""
    shift = Shift(
        column,
        "jensenshannon",
        jensen_shannon(reference, current),
        plan.threshold_of(column),
        effect,
    )
    outcome = Outcome.BAD if shift.drifted else Outcome.FINE
    moved = "moved" if shift.drifted else "stand as they were"
    text = f"the {column}s {moved}: distance {shift.value:.3f}, threshold {shift.threshold:.3f}"
    return Verdict("prediction", outcome, (shift,), text)


def judge_performance(
    loss: LossSums, reference_loss: float | None, plan: Plan, name: str = "log_loss"
) -> Verdict:
    """Whether the realised loss is certainly above what the version promised.

    Between a mean above the limit and a bound above it lies no evidence either way.
    """
    if reference_loss is None or loss.n < max(plan.min_rows, 2):
        known = "the version names no reference loss" if reference_loss is None else ""
        why = known or f"{loss.n} labelled rows, fewer than {plan.min_rows}"
        return Verdict("performance", Outcome.UNKNOWN, (), why)
    limit = reference_loss * (1 + plan.loss_tolerance)
    low = lower_bound(
        loss.mean, loss.deviation, loss.n, alpha=plan.alpha, expected=10 * plan.min_rows
    )
    shifts = (
        Shift("loss", f"{name}_lower_bound", low, limit, loss.mean - reference_loss),
        Shift("loss", name, loss.mean, limit, loss.mean - reference_loss),
    )
    text = (
        f"{name.replace('_', '-')} {loss.mean:.4g} over {loss.n} labelled rows"
        f" (at least {low:.4g}), promised {reference_loss:.4g}, limit {limit:.4g}"
    )
    if low > limit:
        return Verdict("performance", Outcome.BAD, shifts, text)
    outcome = Outcome.FINE if loss.mean <= limit else Outcome.UNKNOWN
    return Verdict("performance", outcome, shifts, text)


@dataclass(frozen=True, slots=True)
class Streak:
    """The recent windows of one version and kind, and what was said about them."""

    bad: int = 0
    fine: int = 0
    active: bool = False
    """Whether drift was detected and not cleared."""
    untold: int = 0
    """Bad windows since drift was last said aloud."""

    def after(
        self, outcome: Outcome, *, consecutive: int, remind: int
    ) -> "tuple[Streak, Literal['detected', 'cleared'] | None]":
        """The streak after one more window, and what is to be said.

        Args:
            outcome: of that window; unknown changes nothing.
            consecutive: windows in a row that must agree.
            remind: bad windows after which a drift that lasts is detected again.
        """
        if outcome is Outcome.UNKNOWN:
            return self, None
        if outcome is Outcome.FINE:
            fine = self.fine + 1
            if self.active and fine >= consecutive:
                return Streak(fine=fine), "cleared"
            return Streak(0, fine, self.active, self.untold), None
        bad = self.bad + 1
        if not self.active:
            if bad >= consecutive:
                return Streak(bad, 0, True, 0), "detected"
            return Streak(bad), None
        if self.untold + 1 >= remind:
            return Streak(bad, 0, True, 0), "detected"
        return Streak(bad, 0, True, self.untold + 1), None
