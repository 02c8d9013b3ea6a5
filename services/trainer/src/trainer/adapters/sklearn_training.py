"""One training from rows to measured artifact; runs in a child process."""

import io
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from trainer.adapters import artifact
from trainer.adapters.delta_history import History, as_served, read_history
from trainer.adapters.pipeline_file import build_pipeline
from trainer.domain import gates, measures
from trainer.domain.failure import TrainingError
from trainer.domain.gates import Gate, GateRules
from trainer.domain.measures import Floats
from trainer.domain.split import Split, by_period, by_share
from trainer.ports import TrainingPlan, TrainingResult, TrainingTask

if TYPE_CHECKING:
    import pandas as pd

    from trainer.adapters.delta_history import HistorySource

REFERENCE_ROWS = 5000
"""Held-out rows that are kept beside the model."""
SERVED_ROWS = 500
"""Rows, half of them held out, that are also brought to the artifact as requests bring them."""


def warm(threads: int) -> None:
    """Import what a training needs, so that the first one finds it there, and bound its threads."""
    import deltalake
    import feast
    import onnxruntime
    import pandas
    import pyarrow
    import skl2onnx
    import sklearn.ensemble
    import sklearn.pipeline
    import skops.io

    import trainer.adapters.feast_delta_store

    pyarrow.set_cpu_count(threads)
    del trainer, deltalake, feast, onnxruntime, pandas, skl2onnx, sklearn, skops


def train(task: TrainingTask, source: "HistorySource") -> TrainingResult:
    """Read, split, fit, export, check and measure.

    Raises:
        TrainingError: no model can come out of this.
        UnavailableError: the lake is away.
    """
    clock = _Stages()
    plan, features = task.definition.training, task.definition.features
    history = read_history(
        source, task.definition, task.until, clock.stage, also=task.champion_features
    )
    names = [feature.name for feature in features]
    with clock.stage("prepare"):
        split = _split(history, plan)
        train_rows, held = (_rows(history.frame, at) for at in (split.train, split.holdout))
        train_labels, labels = history.labels[split.train], history.labels[split.holdout]
        moments = history.times[split.holdout]
        pipeline = build_pipeline(task.definition.pipeline, plan.seed)
    with clock.stage("fit"):
        _fit(pipeline, train_rows.loc[:, names], train_labels)
    policy = task.definition.policies.gate
    with clock.stage("export"):
        some = _some(split)
        served = artifact.Served(
            history.frame.iloc[some].loc[:, names], as_served(history.raw, features, some)
        )
        made = artifact.export(pipeline, features, held, policy, task.trusted_types, served)
    with clock.stage("evaluate"):
        scores = made.scores
        losses = measures.log_losses(labels, scores)
        rules = GateRules(policy.max_regression, policy.min_rows, policy.parity_tolerance)
        return TrainingResult(
            artifact=made.content,
            format=made.format,
            why_not_onnx=made.why_not_onnx,
            reference=_reference(held.loc[:, names], labels, scores),
            data=history.versions,
            measures=measures.evaluate(labels, scores),
            parity=made.parity,
            loss_mean=float(np.mean(losses)),
            loss_std=float(np.std(losses)),
            train_rows=len(train_rows),
            holdout_rows=len(held),
            gates=(
                gates.parity(made.parity, len(held), rules),
                gates.min_rows(len(held), rules),
                gates.beats_base_rate(
                    labels,
                    scores,
                    float(np.mean(train_labels)),
                    moments if task.champion is not None else None,
                ),
                *_against_champion(task, held, labels, scores, moments, rules),
            ),
            stages=clock.seconds,
        )


def _split(history: History, plan: TrainingPlan) -> Split:
    rows = len(history.labels)
    if rows < plan.min_rows:
        raise TrainingError(
            "prepare", f"{rows} labelled rows, and training.min_rows is {plan.min_rows}"
        )
    if isinstance(plan.holdout, timedelta):
        split = by_period(history.times, plan.holdout // timedelta(microseconds=1))
    else:
        split = by_share(history.times, plan.holdout)
    if not len(split.train) or not len(split.holdout):
        raise TrainingError(
            "prepare",
            f"{rows} rows give {len(split.train)} to train on and {len(split.holdout)} to hold out",
        )
    train_labels = history.labels[split.train]
    if len(np.unique(train_labels)) < 2:
        raise TrainingError(
            "prepare", f"all {len(split.train)} training rows have the label {train_labels[0]:.0f}"
        )
    return split


def _rows(frame: "pd.DataFrame", at: "NDArray[np.intp]") -> "pd.DataFrame":
    return frame.iloc[at].reset_index(drop=True)


def _some(split: Split) -> "NDArray[np.intp]":
    """At most `SERVED_ROWS` rows, evenly spread over those of each side."""
    most = SERVED_ROWS // 2
    sides = (split.train, split.holdout)
    return np.concatenate(
        [
            each[np.linspace(0, len(each) - 1, min(most, len(each))).astype(np.intp)]
            for each in sides
        ]
    )


def _fit(pipeline: Any, frame: "pd.DataFrame", labels: Floats) -> None:
    try:
        pipeline.fit(frame, labels.astype(np.int64))
    except Exception as error:  # the user's pipeline may raise anything
        raise TrainingError("fit", f"{type(error).__name__}: {error}") from error


def _against_champion(
    task: TrainingTask,
    held: "pd.DataFrame",
    labels: Floats,
    scores: Floats,
    moments: "NDArray[np.int64]",
    rules: GateRules,
) -> Iterator[Gate]:
    """The gate of the log-loss where there is a champion, on held-out rows unseen by it as well.

    When these are too few, all held-out rows count: that favours the champion; the gate says so.
    """
    if task.champion is None:
        return
    name = task.champion_name
    kinds = {feature.name: feature.kind for feature in task.champion_features}
    missing = [n for n, kind in kinds.items() if n not in held or kind != _kind(held[n])]
    if missing:
        name = f"{name} (its inputs {', '.join(missing)} are no longer there)"
        yield gates.log_loss(labels, scores, None, name, rules)
        return
    rival = artifact.score(
        "champion",
        task.champion,
        task.champion_format,
        held,
        task.champion_features,
        task.trusted_types,
    )
    if task.champion_until is not None:
        unseen = moments >= int(task.champion_until.timestamp() * 1e6)
        if unseen.sum() >= rules.min_rows:
            labels, scores, rival = labels[unseen], scores[unseen], rival[unseen]
        elif not unseen.all():
            name = f"{name} (which may have been trained on {(~unseen).sum()} of them)"
    yield gates.log_loss(labels, scores, rival, name, rules)


def _kind(column: Any) -> str:
    return "number" if column.dtype == np.float32 else "category"


def _reference(held: "pd.DataFrame", labels: Floats, scores: Floats) -> bytes:
    """At most `REFERENCE_ROWS` held-out rows, evenly spread over their time."""
    count = min(REFERENCE_ROWS, len(held))
    rows = np.linspace(0, len(held) - 1, count).astype(np.intp)
    frame = held.iloc[rows].assign(label=labels[rows], score=scores[rows])
    buffer = io.BytesIO()
    frame.to_parquet(buffer, index=False)
    return buffer.getvalue()


class _Stages:
    """Wall time of each stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = time.perf_counter() - started
