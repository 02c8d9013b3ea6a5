"""Rollouts: commands to them and the steps they take."""

from typing import ClassVar, Literal

from pydantic import Field

from event_schemas.base import EventBody, Name, Number, Probability, TimeRange, Timestamp, Value
from event_schemas.model import ModelVersion


class RolloutCommand(EventBody):
    """A person takes a hand in a rollout."""

    type: ClassVar[str] = "rollout.command"
    key_field: ClassVar[str] = "model"

    model: Name
    command: Literal["pause", "resume", "promote", "abort", "rollback"]
    commanded_by: str = Field(min_length=1, max_length=256)
    reason: str = Field(min_length=1, max_length=1024)


class Verdict(Value):
    """How the challenger compares, on one metric."""

    metric: Literal["log_loss", "errors", "none"]
    outcome: Literal["healthy", "unhealthy", "not_enough_evidence"]
    effect: Number | None = None
    """Challenger minus champion."""
    low: Number | None = None
    high: Number | None = None
    """Ends of the anytime-valid confidence interval of the effect."""
    margin: Number | None = None
    """Effect from which the challenger counts as worse."""
    n_champion: int = Field(default=0, ge=0)
    n_challenger: int = Field(default=0, ge=0)


Phase = Literal["canary", "probation", "stable", "paused"]


class RolloutStep(EventBody):
    """The whole routing of one model as it is from now on: whoever reads it needs no other step."""

    type: ClassVar[str] = "rollout.step"
    key_field: ClassVar[str] = "model"
    compacted: ClassVar[bool] = True

    model: Name
    rollout_id: str
    sequence: int = Field(ge=0)
    """Counts the steps of a model; a reader ignores a lower one than it has."""
    phase: Phase
    champion: ModelVersion
    challenger: ModelVersion | None = None
    """The version under trial; on probation it answers everything and the champion is kept warm."""
    weight: Probability
    """Share of the entities that the challenger answers."""
    salt: str
    """Keeps the arms of one rollout independent of those of another."""
    verdict: Verdict | None = None
    """What the step was decided on; None for the first."""
    reason: str
    outcome: Literal["running", "promoted", "rolled_back", "aborted", "superseded"]
    """What became of the rollout with this step."""
    event_time: Timestamp | None = None
    """Event time of the evidence."""
    evidence: TimeRange | None = None
    """Event time over which the verdict's predictions were measured."""
