"""The policies that travel with a model version, so a decision can be replayed under its rules."""

from datetime import timedelta
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from event_schemas.base import Duration, FeatureValue, Probability, Timestamp, Value
from event_schemas.values import category

MarginUnit = Literal["loss", "share"]


class Feature(Value):
    """One input of a model, in the order in which the model takes them."""

    name: str = Field(min_length=1, max_length=128)
    """Name of the input."""
    kind: Literal["number", "category"]
    """Whether it is a number or a category (text)."""
    source: Literal["request", "store"]
    """Whether the caller sends it or the feature store holds it."""
    view: str | None = None
    """Feast feature view, for a feature from the store."""
    field: str | None = None
    """Field of that view; None: the feature's own name."""
    join_key: str | None = None
    """Request feature whose value finds the row in the store."""
    required: bool = True
    """A request without it is refused; otherwise `default` is used."""
    default: FeatureValue = None
    """Stands in for a missing value; None: the model sees it as missing."""
    max_age_seconds: float | None = Field(default=None, gt=0)
    """A stored value older than this, in event time, counts as missing."""
    last_known_seconds: float | None = Field(default=None, gt=0)
    """Where a stored value is missing, the last one that the predictor knew of its row stands in,
    up to this age in event time; None: `default` does at once, or the request is refused."""
    watch: bool = True
    """Whether its drift counts towards a verdict; seasonal inputs are better left out."""

    @field_validator("default", mode="before")
    @classmethod
    def _of_a_category(cls, default: object, info: ValidationInfo) -> object:
        """`true` and 7 are the categories that a column of booleans or integers holds."""
        if info.data.get("kind") == "category" and isinstance(default, bool | int):
            return category(default)
        return default


class GatePolicy(Value):
    """What a challenger must show before it may be rolled out."""

    metric: Literal["log_loss"] = "log_loss"
    """Not read: the loss of the version decides, which is the log-loss unless it says otherwise."""
    max_regression: float = 0.0
    """Largest tolerated increase of the mean loss over the champion, on the same rows."""
    margin_unit: MarginUnit = "loss"
    """Of `max_regression`: the unit of the loss, or shares of the champion's mean loss."""
    require: tuple[str, ...] = ()
    """Bounds on measures of the held-out rows, e.g. `roc_auc >= 0.75` or `mae <= 12`."""
    min_rows: int = Field(default=500, ge=1)
    """Fewer held-out rows than this are no evidence, so the gate refuses."""
    parity_tolerance: float = Field(default=1e-5, gt=0)
    """Largest tolerated difference between the exported artifact and scikit-learn."""
    artifact: Literal["onnx_or_skops", "onnx"] = "onnx_or_skops"
    """What a version may be made of: ONNX where the pipeline converts within the tolerance and else
    skops, which takes a hundred times as long to answer; or ONNX alone."""


class DriftPolicy(Value):
    """When the world counts as changed."""

    window: Duration = timedelta(days=7)
    """Length of a tumbling window of event time for data and performance drift."""
    slice: Duration = timedelta(days=1)
    """Length of the shorter windows in which arms are measured; divides `window`."""
    lateness: Duration = timedelta(hours=12)
    """How long after its end a window waits for predictions and labels."""
    label_ttl: Duration = timedelta(days=30)
    """How long a prediction waits for its label."""
    min_rows: int = Field(default=500, ge=1)
    """A window with fewer rows gives no verdict."""
    sample_rows: int = Field(default=5000, ge=100)
    """Rows of a window that are kept for the drift report."""
    feature_threshold: float = Field(default=0.1, gt=0)
    """Drift score of a feature (Jensen-Shannon distance) from which it counts as drifted."""
    feature_thresholds: dict[str, float] = Field(default_factory=dict)
    """Thresholds of single features, and of `score` or `prediction`, that replace
    `feature_threshold`."""
    drift_share: Probability = 0.5
    """Share of the watched features that must drift for a data drift."""
    consecutive: int = Field(default=2, ge=1)
    """Windows in a row that must agree before drift is detected or cleared."""
    loss_tolerance: float = Field(default=0.05, ge=0)
    """Relative increase of the loss over the reference that is still fine."""
    alpha: float = Field(default=0.05, gt=0, lt=1)
    """Error rate of the bound on the window's loss."""


class RolloutPolicy(Value):
    """How a challenger takes over."""

    steps: tuple[Probability, ...] = (0.1, 0.5, 1.0)
    """Weights of the challenger, ascending, ending at 1."""
    shadow_labelled: int = Field(default=0, ge=0)
    """Labelled predictions that the challenger makes in shadow, unseen by callers, before its first
    step, and never fewer than `min_labelled`; 0: it begins with the first step."""
    shadow_share: float = Field(default=1.0, gt=0, le=1)
    """Share of the champion's predictions that the challenger scores meanwhile."""
    alpha: float = Field(default=0.05, gt=0, lt=1)
    """Error rate of the anytime-valid confidence sequences."""
    loss_margin: float = Field(default=0.05, ge=0)
    """Increase in mean loss over the champion that still counts as not inferior."""
    margin_unit: MarginUnit = "loss"
    """Of `loss_margin` and `probation_margin`: the unit of the loss, or shares of the champion's
    mean loss."""
    error_margin: Probability = 0.01
    """Increase in the share of failed requests that is still fine."""
    min_labelled: int = Field(default=200, ge=1)
    """Labelled predictions that each arm needs before any verdict on the loss."""
    max_step: Duration = timedelta(days=30)
    """A step without a verdict for this long, in event time, is rolled back; and one of which
    nothing is measured for this long, in wall time."""
    probation_labelled: int = Field(default=1000, ge=0)
    """Labelled predictions at 100 % during which the old champion stays loaded."""
    probation_margin: float = Field(default=0.15, ge=0)
    """Increase over the old champion's loss during the rollout that still rolls back."""


class RetrainPolicy(Value):
    """Which requests for retraining are granted."""

    causes: tuple[Literal["drift", "performance", "volume", "schedule", "manual"], ...] = (
        "drift",
        "performance",
        "manual",
    )
    """Causes that may start a training; the first training of a model always may."""
    cooldown: Duration = timedelta(days=7)
    """Shortest time between two accepted requests, in event time."""
    budget: int = Field(default=20, ge=1)
    """Trainings within `budget_period` that no person asked for; one that fails costs nothing."""
    budget_period: Duration = timedelta(days=365)
    """Sliding period over which the budget counts, in event time."""
    min_new_rows: int = Field(default=1000, ge=0)
    """New rows since the last training that make a retraining worth it."""
    volume_rows: int | None = Field(default=None, ge=1)
    """New rows that request a retraining by themselves; None: never."""


class ServingPolicy(Value):
    """How it is served."""

    sampling_rate: float = Field(default=1.0, gt=0, le=1)
    """Share of the predictions that is logged, chosen by prediction id; the others are answered and
    leave no trace, so labels, arms and windows have that much less to go by."""
    cache_seconds: float | None = Field(default=None, gt=0)
    """How long a score may be given again by the same version to the same entity with the same
    features, from the prediction cache; None: never, each prediction is a run of the model."""
    retired_inputs: dict[str, Timestamp] = Field(default_factory=dict)
    """Inputs that the model had, and until when callers may still send them, in event time:
    versions that are trained before ignore them, later ones refuse them."""


class Policies(Value):
    """The policies of one model version, as they were when it was trained."""

    gate: GatePolicy = GatePolicy()
    """Before a rollout."""
    drift: DriftPolicy = DriftPolicy()
    """While it serves."""
    rollout: RolloutPolicy = RolloutPolicy()
    """While it takes over."""
    retrain: RetrainPolicy = RetrainPolicy()
    """Before the next training."""
    serving: ServingPolicy = ServingPolicy()
    """While it answers."""
