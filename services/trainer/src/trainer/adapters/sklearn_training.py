"""One training from rows to measured artifact; runs in a child process."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from event_schemas.task import Target
from trainer.adapters import artifact
from trainer.adapters.delta_history import History, as_served, read_history
from trainer.adapters.held_out import HeldOut
from trainer.adapters.judging import judge
from trainer.adapters.pipeline_file import build_pipeline
from trainer.domain import measures, targets
from trainer.domain.failure import TrainingError
from trainer.domain.split import Split, by_period, by_share
from trainer.domain.targets import Floats
from trainer.ports import TrainingPlan, TrainingResult, TrainingTask

if TYPE_CHECKING:
    import pandas as pd

    from trainer.adapters.delta_history import HistorySource

log = logging.getLogger(__name__)

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
        target = targets.completed(task.definition.target, history.labels[split.train])
        truth = targets.truth_of(target, history.labels)
        split = _of_known_classes(split, truth, target)
        train_rows, held_rows = (_rows(history.frame, at) for at in (split.train, split.holdout))
        moments = history.times[split.holdout]
        pipeline = build_pipeline(task.definition.pipeline, plan.seed)
    with clock.stage("fit"):
        _fit(pipeline, train_rows.loc[:, names], truth[split.train], target)
    policy = task.definition.policies.gate
    with clock.stage("export"):
        some = _some(split)
        served = artifact.Served(
            history.frame.iloc[some].loc[:, names], as_served(history.raw, features, some)
        )
        made = artifact.export(
            pipeline, features, target, held_rows, policy, task.trusted_types, served
        )
    with clock.stage("evaluate"):
        held = HeldOut(target, held_rows, truth[split.holdout], made.answers, moments)
        measured = measures.evaluate(target, held.truth, held.answers)
        return TrainingResult(
            artifact=made.content,
            format=made.format,
            why_not_onnx=made.why_not_onnx,
            reference=held.reference(features),
            target=target,
            answer_edges=held.answer_edges(),
            data=history.versions,
            measures=measured,
            parity=made.parity,
            loss_mean=float(np.mean(held.losses)),
            loss_std=float(np.std(held.losses)),
            train_rows=len(train_rows),
            holdout_rows=len(held_rows),
            gates=tuple(judge(task, held, truth[split.train], made.parity, measured)),
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
        label = train_labels[0]
        text = label if isinstance(label, str) else f"{label:g}"
        raise TrainingError(
            "prepare", f"all {len(split.train)} training rows have the label {text}"
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


def _of_known_classes(split: Split, truth: Floats, target: Target) -> Split:
    """A split without training rows of a class that is not named: nothing can be learned of it."""
    if target.task == "regression":
        return split
    known = truth[split.train] >= 0
    if not known.all():
        log.warning(
            "%d of %d training rows are left out: their label is none of the named classes",
            (~known).sum(),
            len(known),
        )
    return replace(split, train=split.train[known])


def _fit(pipeline: Any, frame: "pd.DataFrame", truth: Floats, target: Target) -> None:
    try:
        pipeline.fit(frame, truth if target.task == "regression" else truth.astype(np.int64))
    except Exception as error:  # the user's pipeline may raise anything
        raise TrainingError("fit", f"{type(error).__name__}: {error}") from error


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
