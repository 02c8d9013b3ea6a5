"""Healthy, unhealthy, or not enough evidence."""

from dataclasses import dataclass, field
from enum import StrEnum

from deployer.domain.confidence import Interval, Sample, difference


class Outcome(StrEnum):
    """The three verdicts; no data is never a pass."""

    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    NOT_ENOUGH_EVIDENCE = "not_enough_evidence"


@dataclass(frozen=True, slots=True)
class ArmEvidence:
    """What was measured of one arm."""

    n: int = 0
    """Predictions, failed ones included."""
    errors: int = 0
    loss: Sample = field(default_factory=Sample)
    """Losses of the labelled predictions."""

    def __add__(self, other: "ArmEvidence") -> "ArmEvidence":
        return ArmEvidence(self.n + other.n, self.errors + other.errors, self.loss + other.loss)


@dataclass(frozen=True, slots=True)
class Verdict:
    """How the challenger compares on one metric."""

    metric: str
    outcome: Outcome
    effect: Interval
    """Challenger minus champion."""
    margin: float
    n_champion: int
    n_challenger: int

    def __str__(self) -> str:
        effect = self.effect
        return (
            f"{self.metric} {effect.estimate:+.4f} [{effect.low:+.4f}, {effect.high:+.4f}]"
            f" against a margin of {self.margin:g},"
            f" n = {self.n_challenger} and {self.n_champion}"
        )


def judge(
    champion: ArmEvidence,
    challenger: ArmEvidence,
    *,
    loss_margin: float,
    error_margin: float,
    min_labelled: int,
    alpha: float,
    loss: str = "log_loss",
    margin_is_share: bool = False,
) -> Verdict:
    """Compare two arms on errors, then on the loss; the worst outcome is the verdict.

    The challenger is unhealthy as soon as one metric is surely worse than its margin, and healthy
    when both are surely not. Each metric spends half of `alpha`. The sequences hold asymptotically,
    so a loss need not be bounded; it needs a variance.

    Args:
        champion: What was measured of the version in place.
        challenger: What was measured of the version under trial.
        loss_margin: Increase of the mean loss that is still fine: in the loss's unit, or a share of
            the champion's mean loss, whose own uncertainty then counts as well.
        error_margin: Increase of the share of failed requests that is still fine.
        min_labelled: Predictions of each arm below which there is no verdict.
        alpha: Error rate.
        loss: Name of the loss.
        margin_is_share: Whether `loss_margin` is a share.
    """
    errors = _compare(
        "errors",
        Sample.of_share(champion.errors, champion.n),
        Sample.of_share(challenger.errors, challenger.n),
        (champion.n, challenger.n),
        margin=error_margin,
        least=min_labelled,
        alpha=alpha / 2,
    )
    losses = _compare(
        loss,
        champion.loss,
        challenger.loss,
        (champion.loss.n, challenger.loss.n),
        margin=loss_margin,
        least=min_labelled,
        alpha=alpha / 2,
        margin_is_share=margin_is_share,
    )
    for outcome in (Outcome.UNHEALTHY, Outcome.NOT_ENOUGH_EVIDENCE):
        for verdict in (losses, errors):
            if verdict.outcome is outcome:
                return verdict
    return losses


def _compare(
    metric: str,
    champion: Sample,
    challenger: Sample,
    counts: tuple[int, int],
    *,
    margin: float,
    least: int,
    alpha: float,
    margin_is_share: bool = False,
) -> Verdict:
    share = margin if margin_is_share else 0.0
    tightest_at = max(1000, least)
    effect = difference(champion.times(1 + share), challenger, alpha, tightest_at)
    if share and champion.n:
        margin = share * champion.mean
        effect = effect.moved(margin)
    if min(counts) < least:
        outcome = Outcome.NOT_ENOUGH_EVIDENCE
    elif effect.low > margin:
        outcome = Outcome.UNHEALTHY
    elif effect.high <= margin:
        outcome = Outcome.HEALTHY
    else:
        outcome = Outcome.NOT_ENOUGH_EVIDENCE
    return Verdict(metric, outcome, effect, margin, *counts)
