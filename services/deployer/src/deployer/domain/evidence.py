"""The evidence of a rollout: the newest measurement of each window, by arm and step."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from deployer.domain.verdict import ArmEvidence

Arm = Literal["champion", "challenger", "shadow"]


@dataclass(frozen=True, slots=True)
class Measurement:
    """One arm over one window, at one weight; a higher revision replaces a lower one."""

    arm: Arm
    weight: float
    start: datetime
    end: datetime
    revision: int
    evidence: ArmEvidence


@dataclass(frozen=True, slots=True)
class StepEvidence:
    """The arms over the windows of one step."""

    champion: ArmEvidence
    challenger: ArmEvidence
    shadow: ArmEvidence
    """The challenger's scores of the champion's rows, which no caller gets."""
    start: datetime | None
    end: datetime | None
    """Range of event time that was measured; None when nothing was."""


def at_weight(measurements: Iterable[Measurement], weight: float) -> StepEvidence:
    """Add up what was measured at one weight.

    Steps are not pooled: the arms' shares differ between them, and so would the hours and seasons
    that each arm saw.
    """
    arms: dict[Arm, ArmEvidence] = dict.fromkeys(get_args(Arm), ArmEvidence())
    start: datetime | None = None
    end: datetime | None = None
    for m in measurements:
        if m.weight != weight:
            continue
        arms[m.arm] += m.evidence
        start = m.start if start is None else min(start, m.start)
        end = m.end if end is None else max(end, m.end)
    return StepEvidence(arms["champion"], arms["challenger"], arms["shadow"], start, end)
