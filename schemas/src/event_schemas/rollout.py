"""Rollouts: commands to them and the steps they take."""

from typing import ClassVar, Literal

from pydantic import Field

from event_schemas.base import (
    EventBody,
    Name,
    OptionalNumber,
    Probability,
    TimeRange,
    Timestamp,
    Value,
)
from event_schemas.model import ModelVersion
from event_schemas.task import LossName


class RolloutCommand(EventBody):
    """A person takes a hand in a rollout."""

    type: ClassVar[str] = "rollout.command"
    key_field: ClassVar[str] = "model"

    model: Name
    """The model whose rollout is meant."""
    command: Literal["pause", "resume", "promote", "abort", "rollback"]
    """What to do."""
    commanded_by: str = Field(min_length=1, max_length=256)
    """The person."""
    reason: str = Field(min_length=1, max_length=1024)
    """Why; it is kept in the steps that follow."""


class Verdict(Value):
    """How the challenger compares, on one metric."""

    metric: LossName | Literal["errors", "none"]
    """What was compared; `none` when nothing could be."""
    outcome: Literal["healthy", "unhealthy", "not_enough_evidence"]
    """No evidence is never a pass."""
    effect: OptionalNumber = None
    """Challenger minus champion."""
    low: OptionalNumber = None
    """Lower end of the anytime-valid confidence interval of the effect."""
    high: OptionalNumber = None
    """Upper end of that interval."""
    margin: OptionalNumber = None
    """Effect from which the challenger counts as worse."""
    n_champion: int = Field(default=0, ge=0)
    """Predictions of the champion that count in the comparison."""
    n_challenger: int = Field(default=0, ge=0)
    """Predictions of the challenger that count in the comparison."""


Phase = Literal["canary", "probation", "stable", "paused"]


class RolloutStep(EventBody):
    """The whole routing of one model as it is from now on: whoever reads it needs no other step."""

    type: ClassVar[str] = "rollout.step"
    key_field: ClassVar[str] = "model"
    compacted: ClassVar[bool] = True

    model: Name
    """The model that is routed."""
    rollout_id: str
    """Names the rollout; every step of it carries the same."""
    sequence: int = Field(ge=0)
    """Counts the steps of a model; a reader ignores a lower one than it has."""
    phase: Phase
    """Where the rollout stands; in shadow it is a canary at weight 0."""
    champion: ModelVersion
    """The version that answers whatever the challenger does not."""
    challenger: ModelVersion | None = None
    """The version under trial; on probation it answers everything and the champion is kept warm."""
    weight: Probability
    """Share of the entities that the challenger answers."""
    shadow: Probability = 0.0
    """Share of the champion's predictions that the challenger scores as well, unseen by callers and
    within the predictors' budgets; they are logged with the arm `shadow`."""
    salt: str
    """Keeps the arms of one rollout independent of those of another."""
    verdict: Verdict | None = None
    """What the step was decided on; None for the first."""
    reason: str
    """A sentence for people."""
    outcome: Literal["running", "promoted", "rolled_back", "aborted"]
    """What became of the rollout with this step."""
    event_time: Timestamp | None = None
    """Event time of the evidence."""
    previous: str | None = None
    """The version that was champion before this one, to which a person can go back."""
    decided: tuple[str, ...] = ()
    """Versions that had their rollout or were replaced while they waited for it, the oldest
    first, at most a thousand: a deployer that lost its state goes on from its newest step."""
    evidence: TimeRange | None = None
    """Event time over which the verdict's predictions were measured."""
