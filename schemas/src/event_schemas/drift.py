"""Drift: suspected, detected, cleared."""

from typing import ClassVar, Literal

from pydantic import Field

from event_schemas.base import EventBody, Name, Number, TimeRange, Timestamp, Value

DriftKind = Literal["data", "prediction", "performance", "broken_feed"]


class FeatureDrift(Value):
    """How far one column moved from the reference."""

    feature: str
    statistic: str
    """Name of the statistic, e.g. `jensenshannon`, `psi`, `log_loss`."""
    value: Number
    threshold: Number
    drifted: bool
    effect: Number | None = None
    """Size of the change in the column's own units, where it has one: difference of the means."""


class DriftSuspected(EventBody):
    """An online detector fired: an early warning, never a verdict."""

    type: ClassVar[str] = "drift.suspected"
    key_field: ClassVar[str] = "model"

    model: Name
    version: str
    detector: str
    """e.g. `adwin`."""
    value: Number
    since: Timestamp
    """Event time since which the detector sees a change."""


class DriftDetected(EventBody):
    """The world is no longer the one that a version was trained on."""

    type: ClassVar[str] = "drift.detected"
    key_field: ClassVar[str] = "model"

    model: Name
    version: str
    kind: DriftKind
    window: TimeRange
    rows: int = Field(ge=0)
    features: tuple[FeatureDrift, ...] = ()
    report_uri: str | None = None
    """Evidently report of the window."""
    reason: str


class DriftCleared(EventBody):
    """A drift that was detected is over."""

    type: ClassVar[str] = "drift.cleared"
    key_field: ClassVar[str] = "model"

    model: Name
    version: str
    kind: DriftKind
    window: TimeRange
    features: tuple[FeatureDrift, ...] = ()
    reason: str
