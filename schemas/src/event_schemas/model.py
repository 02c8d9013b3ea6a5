"""Models: trained, approved, rejected, or failed."""

from typing import ClassVar, Literal

from pydantic import Field

from event_schemas.base import EventBody, Name, Number, Sha256, TimeRange, Timestamp, Value
from event_schemas.policy import Feature, Policies


class Artifact(Value):
    """A file that a version is made of; readers check the digest before they load it."""

    uri: str
    """MLflow artifact URI of one file."""
    sha256: Sha256
    format: Literal["onnx", "skops", "parquet", "json"]


class DataVersion(Value):
    """One table, at one version, over one range: retraining from it gives the same model."""

    dataset: Name
    table_uri: str
    table_version: int = Field(ge=0)
    rows: int = Field(ge=0)
    event_time: TimeRange


class Metric(Value):
    """A measured value with its uncertainty."""

    name: str
    """e.g. `log_loss`, `auc`, `base_rate`."""
    value: Number
    low: Number | None = None
    """Lower end of the 95 % interval."""
    high: Number | None = None
    """Upper end of the 95 % interval."""
    n: int = Field(ge=0)
    """Rows that it was measured on."""


class ModelVersion(Value):
    """All that the other services need to know of one version."""

    model: Name
    version: str = Field(min_length=1, max_length=64)
    """Version in the model registry, e.g. `3`."""
    run_id: str
    """MLflow run."""
    artifact: Artifact
    reference: Artifact | None = None
    """Sample of the rows that the model was validated on: feature columns, `label`, `score`."""
    task: Literal["binary_classification"] = "binary_classification"
    features: tuple[Feature, ...]
    """The signature: inputs in the model's order."""
    reference_loss: Number | None = None
    """Mean log-loss on the held-out rows: what the model promised."""
    reference_loss_std: Number | None = None
    """Standard deviation of the loss of one held-out row."""
    trained_at: Timestamp
    """End of the event time of the training data."""
    policies: Policies = Policies()


class ModelTrained(EventBody):
    """A version has been trained, measured and registered; nobody has judged it yet."""

    type: ClassVar[str] = "model.trained"
    key_field: ClassVar[str] = "model"

    model: Name
    version: ModelVersion
    data: tuple[DataVersion, ...]
    """Every table that the training read."""
    metrics: tuple[Metric, ...]
    """Measured on held-out rows that came after the training rows."""
    parity: Number | None = None
    """Largest difference between the exported artifact and scikit-learn on held-out rows."""
    seed: int = 0
    duration_seconds: float = Field(default=0.0, ge=0)


class GateResult(Value):
    """One gate: what was measured, what was asked, and the verdict."""

    gate: str
    value: Number | None = None
    threshold: Number | None = None
    verdict: Literal["passed", "failed", "not_measured"]
    reason: str


class ModelApproved(EventBody):
    """A version may be rolled out."""

    type: ClassVar[str] = "model.approved"
    key_field: ClassVar[str] = "model"

    model: Name
    version: ModelVersion
    gates: tuple[GateResult, ...] = ()
    approved_by: str
    """`policy`, or the person who approved it."""


class ModelRejected(EventBody):
    """A version did not pass its gates."""

    type: ClassVar[str] = "model.rejected"
    key_field: ClassVar[str] = "model"

    model: Name
    version: ModelVersion
    gates: tuple[GateResult, ...]
    rejected_by: str = "policy"


class TrainingFailed(EventBody):
    """An accepted training ended without a model."""

    type: ClassVar[str] = "training.failed"
    key_field: ClassVar[str] = "model"

    model: Name
    request_id: str
    """Id of the `retrain.requested` that was being served."""
    stage: Literal["read", "prepare", "fit", "export", "evaluate", "register"]
    error: str
    will_retry: bool = False
