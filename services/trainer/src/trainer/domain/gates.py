"""What a version must show before it may be rolled out: pure judgements on measured numbers."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trainer.domain.measures import Floats, log_losses, mean, noise_of_days

Verdict = Literal["passed", "failed", "not_measured"]


@dataclass(frozen=True, slots=True)
class GateRules:
    """What is asked of a version."""

    max_regression: float = 0.0
    """Largest tolerated increase of the mean log-loss over the rival, in nats."""
    min_rows: int = 500
    """Held-out rows below which nothing is proven."""
    parity_tolerance: float = 1e-5
    """Largest tolerated difference of a probability between the artifact and scikit-learn."""


@dataclass(frozen=True, slots=True)
class Gate:
    """One gate: what was measured, what was asked, and the verdict."""

    name: str
    value: float | None
    threshold: float | None
    verdict: Verdict
    reason: str


def parity(difference: float, rows: int, rules: GateRules) -> Gate:
    """Whether the artifact answers as scikit-learn does, on every held-out row."""
    limit = rules.parity_tolerance
    if rows == 0 or math.isnan(difference):
        reason = f"the difference could not be computed on {rows} rows"
        return Gate("parity", None, limit, "not_measured", reason)
    passed = difference <= limit
    relation = "at most" if passed else "more than"
    reason = f"artifact and scikit-learn differ by {difference:.2g}, {relation} {limit:.2g}"
    return Gate("parity", difference, limit, _verdict(passed), f"{reason}, on {rows} rows")


def min_rows(rows: int, rules: GateRules) -> Gate:
    """Whether there are enough held-out rows to judge on."""
    passed = rows >= rules.min_rows
    reason = f"{rows} held-out rows, of {rules.min_rows} needed"
    return Gate("min_rows", float(rows), float(rules.min_rows), _verdict(passed), reason)


def log_loss(
    labels: Floats, scores: Floats, rival_scores: Floats | None, rival: str, rules: GateRules
) -> Gate:
    """Whether the mean log-loss is no worse than the rival's by more than is tolerated.

    Both are measured on the same rows, so the difference is taken row by row (paired) and its
    interval is the normal approximation of a mean. The value decides; the interval is for people.

    Args:
        labels: 0 or 1 for each held-out row.
        scores: the version's probabilities.
        rival_scores: the rival's on the same rows; None when they could not be computed.
        rival: name of what it is compared with.
        rules: what is asked.
    """
    limit = rules.max_regression
    if rival_scores is None or len(labels) == 0:
        reason = f"{rival} could not be scored on {len(labels)} rows"
        return Gate("log_loss", None, limit, "not_measured", reason)
    difference = mean("", log_losses(labels, scores) - log_losses(labels, rival_scores))
    if math.isnan(difference.value):
        reason = f"the difference from {rival} is no number"
        return Gate("log_loss", None, limit, "not_measured", reason)
    reason = (
        f"log-loss minus that of {rival}: {difference.value:+.4f}"
        f" [{difference.low:+.4f}, {difference.high:+.4f}] on {difference.n} rows,"
        f" at most {limit:+.4f} asked"
    )
    return Gate("log_loss", difference.value, limit, _verdict(difference.value <= limit), reason)


def beats_base_rate(
    labels: Floats,
    scores: Floats,
    train_rate: float,
    moments: NDArray[np.int64] | None = None,
) -> Gate:
    """Whether a version is better than always answering the rate of the training rows.

    Asked of each version: a champion may have become worse than that itself. A first version, which
    replaces nothing, has to be better on the mean; of another that is asked as far as the held-out
    days can tell, for in a freak week nearly all that is left of the mean is which days were in it,
    and a refusal leaves an older version in place.

    Args:
        labels: 0 or 1 for each held-out row.
        scores: The version's probabilities.
        train_rate: Share of ones among the training rows.
        moments: Event time of each row in microseconds, where there is a champion; else None.
    """
    rival = labels * 0.0 + train_rate
    name = f"the base rate {train_rate:.4f}"
    noise = 0.0
    if moments is not None and len(labels):
        differences = log_losses(labels, scores) - log_losses(labels, rival)
        noise = noise_of_days(differences, moments)
    gate = replace(
        log_loss(labels, scores, rival, name, GateRules(max_regression=noise)), name="base_rate"
    )
    if noise and gate.verdict != "not_measured":
        gate = replace(gate, reason=f"{gate.reason}, which is what the days' differences explain")
    if gate.verdict == "passed" and gate.value == 0.0:
        return replace(gate, verdict="failed", reason=f"{gate.reason}, and less")
    return gate


def all_passed(gates: Iterable[Gate]) -> bool:
    """Whether every gate passed; one that could not be measured did not, and none is no pass."""
    verdicts = [gate.verdict for gate in gates]
    return bool(verdicts) and all(verdict == "passed" for verdict in verdicts)


def _verdict(passed: bool) -> Verdict:
    return "passed" if passed else "failed"
