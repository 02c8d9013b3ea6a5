"""Drift: suspected, detected, cleared."""

from typing import ClassVar, Literal

from pydantic import Field

from event_schemas.base import EventBody, Name, Number, OptionalNumber, TimeRange, Timestamp, Value

DriftKind = Literal["data", "prediction", "performance", "broken_feed"]


class FeatureDrift(Value):
    """How far one column moved from the reference."""

    feature: str
    """Name of the column: a feature, `score` or a loss."""
    statistic: str
    """Name of the statistic, e.g. `jensenshannon`, `psi`, `log_loss`."""
    value: Number
    """The statistic on this window."""
    threshold: Number
    """Value from which the column counts as drifted."""
    drifted: bool
    """Whether the value has reached the threshold."""
    effect: OptionalNumber = None
    """Size of the change in the column's own units, where it has one: difference of the means."""


class DriftSuspected(EventBody):
    """An online detector fired: an early warning, never a verdict."""

    type: ClassVar[str] = "drift.suspected"
    key_field: ClassVar[str] = "model"

    model: Name
    """The model under watch."""
    version: str
    """The version whose predictions the detector saw."""
    detector: str
    """e.g. `adwin`."""
    value: Number
    """The detector's reading when it fired, in its own units."""
    since: Timestamp
    """Event time since which the detector sees a change."""


class DriftDetected(EventBody):
    """The world is no longer the one that a version was trained on."""

    type: ClassVar[str] = "drift.detected"
    key_field: ClassVar[str] = "model"

    model: Name
    """The model under watch."""
    version: str
    """The version whose reference the window was compared with."""
    kind: DriftKind
    """What changed: inputs, scores, loss, or the feed itself."""
    window: TimeRange
    """Event time of the last window that was looked at."""
    rows: int = Field(ge=0)
    """Predictions in the window."""
    features: tuple[FeatureDrift, ...] = ()
    """What was compared, drifted or not."""
    report_uri: str | None = None
    """Evidently report of the window."""
    reason: str
    """A sentence for people."""


class DriftCleared(EventBody):
    """A drift that was detected is over."""

    type: ClassVar[str] = "drift.cleared"
    key_field: ClassVar[str] = "model"

    model: Name
    """The model under watch."""
    version: str
    """The version whose reference the window was compared with."""
    kind: DriftKind
    """The kind of drift that is over."""
    window: TimeRange
    """Event time of the last window that was looked at."""
    features: tuple[FeatureDrift, ...] = ()
    """What was compared."""
    reason: str
    """A sentence for people."""
