"""What a version must show before it may be rolled out: pure judgements on measured numbers."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trainer.domain.measures import mean, noise_of_days
from trainer.domain.targets import Floats

Verdict = Literal["passed", "failed", "not_measured"]


@dataclass(frozen=True, slots=True)
class GateRules:
    """What is asked of a version."""

    max_regression: float = 0.0
    """Largest tolerated increase of the mean loss over the rival."""
    margin_unit: Literal["loss", "share"] = "loss"
    """Of `max_regression`: the unit of the loss, or shares of the rival's mean loss."""
    min_rows: int = 500
    """Held-out rows below which nothing is proven."""
    parity_tolerance: float = 1e-5
    """Largest tolerated difference between the artifact and what it was made of: of a probability,
    or of a number as a share of the largest answer."""


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


def loss(
    name: str, losses: Floats, rival_losses: Floats | None, rival: str, rules: GateRules
) -> Gate:
    """Whether the mean loss is no worse than the rival's by more than is tolerated.

    Both are measured on the same rows, so the difference is taken row by row (paired) and its
    interval is the normal approximation of a mean. The value decides; the interval is for people.

    Args:
        name: Name of the loss.
        losses: The version's loss of each held-out row.
        rival_losses: The rival's on the same rows; None when they could not be computed.
        rival: Name of what it is compared with.
        rules: What is asked.
    """
    if rival_losses is None or len(losses) == 0:
        reason = f"{rival} could not be scored on {len(losses)} rows"
        return Gate(name, None, None, "not_measured", reason)
    difference = mean("", losses - rival_losses)
    limit = rules.max_regression
    if rules.margin_unit == "share":
        limit *= float(np.mean(rival_losses))
    if math.isnan(difference.value):
        reason = f"the difference from {rival} is no number"
        return Gate(name, None, limit, "not_measured", reason)
    reason = (
        f"{name} minus that of {rival}: {difference.value:+.4g}"
        f" [{difference.low:+.4g}, {difference.high:+.4g}] on {difference.n} rows,"
        f" at most {limit:+.4g} asked"
    )
    return Gate(name, difference.value, limit, _verdict(difference.value <= limit), reason)


def beats_constant(
    name: str,
    losses: Floats,
    constant_losses: Floats,
    constant: str,
    moments: NDArray[np.int64] | None = None,
) -> Gate:
    """Whether a version is better than always giving the best answer to the training rows.

    Asked of each version: a champion may have become worse than that itself. A first version, which
    replaces nothing, has to be better on the mean; of another that is asked as far as the held-out
    days can tell, for in a freak week nearly all that is left of the mean is which days were in it,
    and a refusal leaves an older version in place.

    Args:
        name: Name of the gate.
        losses: The version's loss of each held-out row.
        constant_losses: Those of the constant answer.
        constant: Name of the constant answer.
        moments: Event time of each row in microseconds, where there is a champion; else None.
    """
    noise = 0.0
    if moments is not None and len(losses):
        noise = noise_of_days(losses - constant_losses, moments)
    rules = GateRules(max_regression=noise)
    gate = replace(loss("mean loss", losses, constant_losses, constant, rules), name=name)
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
