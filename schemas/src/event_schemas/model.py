"""Models: trained, approved, rejected, or failed."""

from collections.abc import Iterable
from typing import ClassVar, Literal

from pydantic import Field

from event_schemas.base import (
    EventBody,
    Name,
    Number,
    OptionalNumber,
    Sha256,
    TimeRange,
    Timestamp,
    Value,
)
from event_schemas.policy import Feature, Policies
from event_schemas.task import LOG_LOSS, MAX_CLASSES, Loss, Target, Task


def column_beside(features: Iterable[Feature], name: str) -> str:
    """Name of a column of ours in a reference: with underscores where an input has the name."""
    taken = {feature.name for feature in features}
    while name in taken:
        name += "_"
    return name


class Artifact(Value):
    """A file that a version is made of; readers check the digest before they load it."""

    uri: str
    """MLflow artifact URI of one file."""
    sha256: Sha256
    """SHA-256 of the file, in hexadecimal."""
    format: Literal["onnx", "skops", "parquet", "json"]
    """How the file is to be read."""


class DataVersion(Value):
    """One table, at one version, over one range: retraining from it gives the same model."""

    dataset: Name
    """Name of the dataset."""
    table_uri: str
    """Where the Delta table lies."""
    table_version: int = Field(ge=0)
    """Version of the Delta table that was read."""
    rows: int = Field(ge=0)
    """Rows that were read."""
    event_time: TimeRange
    """Range of event time that was read."""


class Metric(Value):
    """A measured value with its uncertainty."""

    name: str
    """e.g. `log_loss`, `roc_auc`, `mae`."""
    value: Number
    """The measured value; null when it could not be computed."""
    low: OptionalNumber = None
    """Lower end of the 95 % interval."""
    high: OptionalNumber = None
    """Upper end of the 95 % interval."""
    n: int = Field(ge=0)
    """Rows that it was measured on."""


class ModelVersion(Value):
    """All that the other services need to know of one version."""

    model: Name
    """Name of the model."""
    version: str = Field(min_length=1, max_length=64)
    """Version in the model registry, e.g. `3`."""
    run_id: str
    """MLflow run."""
    artifact: Artifact
    """The file to load and run."""
    reference: Artifact | None = None
    """Sample of the rows that the model was validated on: feature columns, `label`, and
    `score` (binary) or `prediction` (the decided class, or the number), each with underscores where
    an input has its name."""
    task: Task = "binary"
    """What the version answers: a probability, a class, or a number."""
    classes: tuple[str, ...] = Field(default=(), max_length=MAX_CLASSES)
    """Names of the classes in the order of the model's scores, of a binary one the positive last;
    empty for 0 and 1, and for a regression."""
    loss: Loss = LOG_LOSS
    """What one prediction costs."""
    features: tuple[Feature, ...]
    """The signature: inputs in the model's order."""
    reference_loss: OptionalNumber = None
    """Mean loss on the held-out rows: what the model promised."""
    reference_loss_std: OptionalNumber = None
    """Standard deviation of the loss of one held-out row."""
    answer_edges: tuple[float, ...] = ()
    """Of a regression: quantiles of its answers to the held-out rows, ascending, which end the bins
    that its answers are counted in; empty for other tasks."""
    trained_at: Timestamp
    """End of the event time of the training data."""
    policies: Policies = Policies()
    """The policies of the model as they were at training."""

    @property
    def ignored_inputs(self) -> frozenset[str]:
        """Inputs that it does not take any more, and that callers may still send."""
        retired = self.policies.serving.retired_inputs
        return frozenset(name for name, until in retired.items() if self.trained_at < until)

    @property
    def target(self) -> Target:
        """What it answers."""
        return Target(self.task, self.classes, self.loss)


class ModelTrained(EventBody):
    """A version has been trained, measured and registered; nobody has judged it yet."""

    type: ClassVar[str] = "model.trained"
    key_field: ClassVar[str] = "model"

    model: Name
    """The model that was trained."""
    version: ModelVersion
    """All that others need to know of the version."""
    data: tuple[DataVersion, ...]
    """Every table that the training read."""
    metrics: tuple[Metric, ...]
    """Measured on held-out rows that came after the training rows."""
    parity: OptionalNumber = None
    """Largest difference between the exported artifact and what it was made of on held-out rows,
    of numbers as a share of the largest."""
    why_not_onnx: str | None = None
    """What kept the pipeline from being an ONNX file; None where it is one."""
    seed: int = 0
    """Seed of every random choice in the training."""
    duration_seconds: float = Field(default=0.0, ge=0)
    """How long the training took, in seconds of wall time."""


class GateResult(Value):
    """One gate: what was measured, what was asked, and the verdict."""

    gate: str
    """Name of the gate, e.g. `log_loss`, `min_rows`, `parity`."""
    value: OptionalNumber = None
    """What was measured; None when it could not be."""
    threshold: OptionalNumber = None
    """What was asked; None for a gate without a number."""
    verdict: Literal["passed", "failed", "not_measured"]
    """A gate that could not be measured did not pass."""
    reason: str
    """A sentence for people."""


class ModelApproved(EventBody):
    """A version may be rolled out."""

    type: ClassVar[str] = "model.approved"
    key_field: ClassVar[str] = "model"

    model: Name
    """The model that was judged."""
    version: ModelVersion
    """The version that may be rolled out."""
    gates: tuple[GateResult, ...] = ()
    """Every gate and its verdict."""
    approved_by: str
    """`policy`, or the person who approved it."""


class ModelRejected(EventBody):
    """A version did not pass its gates."""

    type: ClassVar[str] = "model.rejected"
    key_field: ClassVar[str] = "model"

    model: Name
    """The model that was judged."""
    version: ModelVersion
    """The version that may not be rolled out."""
    gates: tuple[GateResult, ...]
    """Every gate and its verdict."""
    rejected_by: str = "policy"
    """`policy`, or the person who rejected it."""


class TrainingFailed(EventBody):
    """An accepted training ended without a model."""

    type: ClassVar[str] = "training.failed"
    key_field: ClassVar[str] = "model"

    model: Name
    """The model whose training failed."""
    request_id: str
    """Id of the `retrain.requested` that was being served."""
    stage: Literal["read", "prepare", "fit", "export", "evaluate", "register"]
    """Where it failed."""
    error: str
    """Class and text of the error."""
    will_retry: bool = False
    """Whether the trainer tries again by itself."""
