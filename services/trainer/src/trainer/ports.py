"""What the trainer needs of the outside: model folders, training, experiments, artifacts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, field_validator

from event_schemas.base import Name
from event_schemas.model import Artifact, DataVersion, ModelVersion
from event_schemas.policy import Feature, Policies
from event_schemas.task import BINARY, Target
from trainer.domain.gates import Gate
from trainer.domain.measures import Measure


class TrainingPlan(BaseModel):
    """Which rows of which dataset a model is trained on: `training` of model.yaml."""

    model_config = ConfigDict(frozen=True, use_attribute_docstrings=True)

    dataset: Name
    """The dataset whose rows are trained on; it grows by one row a finished case."""
    label: str
    """Column that holds the outcome."""
    label_above: float | None = None
    """Of a binary model: the positive class is an outcome above this; without it the column holds 0
    and 1, or the names in `classes`."""
    feature_time: str = "event_time"
    """Column with the time of the prediction: stored features are as of it."""
    holdout: Annotated[float, Field(gt=0, lt=1)] | timedelta = 0.2
    """The newest rows, which the version is judged on: a share, or a time such as `14 days`."""
    window: timedelta | None = None
    """How far back rows are read; without it, from the beginning."""
    min_rows: int = Field(default=1000, ge=2)
    """Fewer labelled rows than this are not trained on."""
    max_rows: int = Field(default=500_000, ge=2)
    """Of more labelled rows than this, the newest are kept."""
    seed: int = Field(default=0, ge=0, le=2**32 - 1)
    """Seed of every random choice."""

    @field_validator("holdout", mode="before")
    @classmethod
    def _a_number_is_a_share(cls, value: object) -> object:
        if isinstance(value, int | float) and not 0 < value < 1:
            raise ValueError(
                f"training.holdout: {value!r}: a share lies between 0 and 1; write a time as"
                " `14 days` or `P14D`"
            )
        return value


@dataclass(frozen=True, slots=True)
class ModelDefinition:
    """A model as its folder describes it."""

    model: str
    features: tuple[Feature, ...]
    policies: Policies
    training: TrainingPlan
    pipeline: Path
    """The Python file that holds `build_pipeline(seed)`."""
    digest: str
    """SHA-256 over model.yaml and the pipeline."""
    target: Target = BINARY
    """What it answers; without classes where a multiclass one takes those of its training rows."""


@dataclass(frozen=True, slots=True)
class TrainingTask:
    """One training, with all that it needs."""

    definition: ModelDefinition
    until: datetime
    """Rows whose event time is later are not read."""
    champion: Path | None
    """File of the version that serves now; None: there is none."""
    champion_features: tuple[Feature, ...] = ()
    """Inputs of the champion."""
    champion_format: str = "onnx"
    """How the champion's file is to be read: `onnx` or `skops`."""
    champion_target: Target = BINARY
    """What the champion answers."""
    champion_name: str = ""
    """The champion, for people."""
    champion_until: datetime | None = None
    """End of the event time of the champion's own training data."""
    trusted_types: tuple[str, ...] = ()
    """Types that the operator trusts in skops files, beside those that every service trusts."""


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """What came out of a training."""

    artifact: bytes
    """The file that answers."""
    reference: bytes
    """Parquet file of held-out rows, as `ModelVersion.reference` says."""
    data: tuple[DataVersion, ...]
    measures: tuple[Measure, ...]
    parity: float
    """Largest difference between artifact and pipeline on the held-out rows."""
    loss_mean: float
    loss_std: float
    train_rows: int
    holdout_rows: int
    gates: tuple[Gate, ...]
    stages: Mapping[str, float]
    """Wall time of each stage, in seconds."""
    target: Target = BINARY
    """What the version answers, with its classes."""
    answer_edges: tuple[float, ...] = ()
    """Of a regression: quantiles of its answers to the held-out rows, ascending."""
    format: Literal["onnx", "skops"] = "onnx"
    """How the artifact is to be read."""
    why_not_onnx: str | None = None
    """What kept the pipeline from being an ONNX file; None where it is one."""


@dataclass(frozen=True, slots=True)
class Registered:
    """A version in the registry."""

    version: str
    artifact: Artifact
    reference: Artifact


class Catalog(Protocol):
    """The models that users have described."""

    def find(self, model: str) -> ModelDefinition | None:
        """The newest definition of a model that was right; None when there never was one."""
        ...

    def problems(self) -> Mapping[str, str | None]:
        """Every model that is described, and why nothing can be trained by it; None: it can."""
        ...

    def trained_on(self, dataset: str) -> Sequence[ModelDefinition]:
        """The models that are trained on a dataset."""
        ...


class Training(Protocol):
    """Trains."""

    def train(self, task: TrainingTask) -> TrainingResult:
        """Read, fit, export and measure.

        Raises:
            TrainingError: no model can come out of this.
            UnavailableError: the lake is away.
        """
        ...


class Runs(Protocol):
    """Experiments: one run for each attempt to serve a request."""

    def begin(self, definition: ModelDefinition, request_id: str, tags: Mapping[str, str]) -> str:
        """Start a run, and mark unfinished ones of the same request as superseded."""
        ...

    def conclude(self, run_id: str, outcome: str, *, failed: bool) -> None:
        """Keep the outcome, for people, and end the run."""
        ...


class Versions(Protocol):
    """The model registry."""

    def register(
        self, run_id: str, definition: ModelDefinition, result: TrainingResult
    ) -> Registered:
        """Log a result to its run, and make it the model's next version."""
        ...

    def point(self, model: str, alias: str, version: str) -> None:
        """Move an alias of a model to a version."""
        ...

    def withdraw(self, model: str, alias: str) -> None:
        """Remove an alias of a model, if it is there."""
        ...

    def fetch(self, artifact: Artifact) -> Path:
        """A local copy of an artifact whose digest was checked.

        Raises:
            TrainingError: the copy has another digest.
        """
        ...


class Verdicts(Protocol):
    """What came of the decisions."""

    def told(self, decision_id: str) -> bool:
        """Whether a version was approved or rejected, or a training failed, by a decision."""
        ...


class Champions(Protocol):
    """Who serves."""

    def current(self, model: str) -> ModelVersion | None:
        """The version that serves a model now, or None before the first rollout."""
        ...
