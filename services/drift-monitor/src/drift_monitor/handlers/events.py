"""Between events and the domain: policies and times in, measurements and verdicts out."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from drift_monitor.domain.columns import Column
from drift_monitor.domain.histograms import Counts, latency_quantile
from drift_monitor.domain.plan import Plan
from drift_monitor.domain.sequences import Sequences
from drift_monitor.domain.slices import Slice
from drift_monitor.domain.verdicts import Shift, Verdict
from drift_monitor.domain.windows import Window
from event_schemas.arm import ArmMeasured, RealisedLoss, ScoreSketch
from event_schemas.base import TimeRange
from event_schemas.drift import DriftCleared, DriftDetected, FeatureDrift
from event_schemas.model import ModelVersion, column_beside
from event_schemas.policy import DriftPolicy

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def micros(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def moment(micros: int) -> datetime:
    """The point in time."""
    return _EPOCH + micros * _MICROSECOND


def plan_of(policy: DriftPolicy) -> Plan:
    """The policy in the domain's units."""
    return Plan(
        window=policy.window // _MICROSECOND,
        slice=policy.slice // _MICROSECOND,
        lateness=policy.lateness // _MICROSECOND,
        label_ttl=policy.label_ttl // _MICROSECOND,
        min_rows=policy.min_rows,
        sample_rows=policy.sample_rows,
        threshold=policy.feature_threshold,
        thresholds=policy.feature_thresholds,
        drift_share=policy.drift_share,
        consecutive=policy.consecutive,
        loss_tolerance=policy.loss_tolerance,
        alpha=policy.alpha,
    )


def columns_of(version: ModelVersion) -> list[Column]:
    """The inputs of a version."""
    return [Column(f.name, f.kind == "number", f.watch) for f in version.features]


def answer_column(version: ModelVersion) -> Column:
    """The column of a reference that holds the version's answers."""
    name = "score" if version.task == "binary" else "prediction"
    return Column(column_beside(version.features, name), number=version.task != "multiclass")


def arm_measured(
    slice_: Slice, sequences: Mapping[str, Sequences | None], version: ModelVersion | None = None
) -> ArmMeasured:
    """The measurement of a slice."""
    quantiles = {
        name: value
        for name, q in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
        if (value := latency_quantile(slice_.latencies, q)) is not None
    }
    return ArmMeasured.model_validate(
        {
            "model": slice_.model,
            "version": slice_.version,
            "arm": slice_.arm,
            "rollout_id": slice_.rollout_id,
            "weight": slice_.weight,
            "window": TimeRange(start=moment(slice_.start), end=moment(slice_.end)),
            "revision": slice_.revision,
            "n": slice_.n,
            "errors": slice_.errors,
            "latency_ms": quantiles,
            "scores": sketch_of(slice_.scores, version),
            "loss": RealisedLoss(
                n=slice_.loss.n,
                total=slice_.loss.sum,
                total_squared=slice_.loss.sum_of_squares,
                positives=slice_.loss.positives,
            ),
            "label_maturity": slice_.label_maturity,
            "coverage": slice_.coverage(sequences),
            "sampling_rate": slice_.sampling_rate,
        }
    )


def sketch_of(counts: Counts, version: ModelVersion | None) -> ScoreSketch:
    """The distribution of a version's answers, with as many bins as its task has."""
    if version is None or version.task == "binary":
        return ScoreSketch(counts=counts)
    edges = version.answer_edges
    bins = len(version.classes) if version.task == "multiclass" else len(edges) + 1
    return ScoreSketch(counts=(*counts, *(0,) * bins)[:bins], edges=edges)


def drift_detected(window: Window, verdict: Verdict, report_uri: str | None) -> DriftDetected:
    """A verdict that is bad for long enough."""
    return DriftDetected(
        model=window.model,
        version=window.version,
        kind=verdict.kind,
        window=range_of(window),
        rows=window.rows,
        features=tuple(_feature(shift) for shift in verdict.shifts),
        report_uri=report_uri,
        reason=verdict.reason,
    )


def drift_cleared(window: Window, verdict: Verdict) -> DriftCleared:
    """A verdict that is fine again for long enough."""
    return DriftCleared(
        model=window.model,
        version=window.version,
        kind=verdict.kind,
        window=range_of(window),
        features=tuple(_feature(shift) for shift in verdict.shifts),
        reason=verdict.reason,
    )


def range_of(window: Window) -> TimeRange:
    """The event time of a window."""
    return TimeRange(start=moment(window.start), end=moment(window.end))


def _feature(shift: Shift) -> FeatureDrift:
    return FeatureDrift(
        feature=shift.column,
        statistic=shift.statistic,
        value=shift.value,
        threshold=shift.threshold,
        drifted=shift.drifted,
        effect=shift.effect,
    )
