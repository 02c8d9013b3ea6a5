"""What a fitted pipeline becomes: ONNX where that answers as the pipeline does, otherwise skops."""

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from event_schemas.policy import Feature, GatePolicy
from event_schemas.task import Target
from trainer.adapters import onnx_artifact, skops_artifact
from trainer.adapters.odd_rows import odd_rows
from trainer.domain.failure import TrainingError
from trainer.domain.targets import Floats

if TYPE_CHECKING:
    import pandas as pd


log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Exported:
    """A file, and how it answers."""

    content: bytes
    format: Literal["onnx", "skops"]
    answers: Floats
    """To the held-out rows, by the file itself."""
    parity: float
    """Largest difference from the pipeline on them, on rows as they are served, and on odd ones; of
    numbers as a share of the largest; NaN when there is none to take."""
    why_not_onnx: str | None = None


@dataclass(frozen=True, slots=True)
class Served:
    """Rows of the history in two forms, which have to be the same to a model."""

    trained: "pd.DataFrame"
    """As the pipeline was fitted on them."""
    served: "pd.DataFrame"
    """As requests and the feature store bring them."""


def export(
    pipeline: Any,
    features: Sequence[Feature],
    target: Target,
    held: "pd.DataFrame",
    policy: GatePolicy,
    trusted: Collection[str] = (),
    served: Served | None = None,
) -> Exported:
    """The file of a fitted pipeline, tried on held-out rows, some as they are served, and odd ones.

    Where the policy allows nothing else, an ONNX file is given however far off it is: the parity
    gate then refuses it.

    Raises:
        TrainingError: there is no file that the policy allows.
    """
    names = [feature.name for feature in features]
    trials = [_Trial(held, _expected(pipeline, held.loc[:, names], target))]
    if served is not None:
        trials.append(_Trial(served.served, _expected(pipeline, served.trained, target)))
    trials += _odd_trials(pipeline, held, features, target)
    try:
        classifies = target.task != "regression"
        content = onnx_artifact.export(pipeline, features, classifies=classifies)
        onnx = _tried(content, "onnx", trials, features, target)
    except TrainingError as error:
        if policy.artifact == "onnx":
            raise TrainingError(
                error.stage, f"{error}; or allow skops with gate.artifact: onnx_or_skops"
            ) from error
        why = str(error)
    else:
        if onnx.parity <= policy.parity_tolerance or policy.artifact == "onnx":
            return onnx
        why = (
            f"its ONNX form differs from scikit-learn by {onnx.parity:.2g} on {len(held)} rows,"
            f" more than {policy.parity_tolerance:.2g}"
        )
    try:
        content = skops_artifact.export(pipeline, trusted)
    except TrainingError as error:
        raise TrainingError(error.stage, f"{why}; and {error}") from error
    return _tried(content, "skops", trials, features, target, trusted, why)


def answers(
    what: str,
    artifact: Any,
    form: str,
    frame: "pd.DataFrame",
    features: Sequence[Feature],
    target: Target,
    trusted: Collection[str] = (),
) -> Floats:
    """What a file answers to the rows of a frame, in the form of `trainer.domain.targets`.

    Raises:
        TrainingError: the file does not run, or answers something else than the target; the text
            names it as `what`.
    """
    try:
        if form == "skops":
            names = [feature.name for feature in features]
            pipeline = skops_artifact.open_pipeline(artifact, trusted)
            return _asked(pipeline, frame.loc[:, names], target)
        return _of_target(onnx_artifact.run(artifact, frame, features), target)
    except Exception as error:
        text = f"the {what} does not run: {type(error).__name__}: {error}"
        raise TrainingError("evaluate", text) from error


@dataclass(frozen=True, slots=True)
class _Trial:
    """Rows for a file, and what the pipeline answers to them."""

    rows: "pd.DataFrame"
    expected: Floats


def _tried(
    content: bytes,
    form: Literal["onnx", "skops"],
    trials: Sequence[_Trial],
    features: Sequence[Feature],
    target: Target,
    trusted: Collection[str] = (),
    why_not_onnx: str | None = None,
) -> Exported:
    """A file with its answers to the first trial, and its parity on all of them."""
    what = {"onnx": "ONNX file", "skops": "artifact"}[form]
    found = [answers(what, content, form, each.rows, features, target, trusted) for each in trials]
    unit = None
    if target.task == "regression":
        unit = float(np.max(np.abs(trials[0].expected), initial=0.0))
    differences = [_difference(f, t.expected, unit) for f, t in zip(found, trials, strict=True)]
    # Unlike Python's, NumPy's maximum is NaN where one could not be taken.
    return Exported(content, form, found[0], float(np.max(differences)), why_not_onnx)


def _odd_trials(
    pipeline: Any, held: "pd.DataFrame", features: Sequence[Feature], target: Target
) -> list[_Trial]:
    """Odd rows in one trial, as far as the pipeline answers them; elsewhere a file may say any."""
    import pandas as pd

    rows: list[pd.DataFrame] = []
    expected: list[Floats] = []
    for odd in odd_rows(held, features):
        try:
            found = _asked(pipeline, odd, target)
        except Exception as error:  # the user's pipeline may raise anything
            log.debug("the pipeline does not answer odd rows: %s", error)
            continue
        answered = np.flatnonzero(np.isfinite(found).reshape(len(found), -1).all(axis=1))
        rows.append(odd.iloc[answered])
        expected.append(found[answered])
    if not sum(map(len, rows)):
        return []
    return [_Trial(pd.concat(rows, ignore_index=True), np.concatenate(expected))]


def _difference(found: Floats, expected: Floats, unit: float | None) -> float:
    """Largest difference; of numbers as a share of the answer, or of `unit` where that is more."""
    if not len(found):
        return float("nan")
    differences = np.abs(found - expected)
    if unit is not None:
        differences /= np.maximum(np.abs(expected), unit or 1.0)
    return float(np.max(differences))


def _expected(pipeline: Any, frame: "pd.DataFrame", target: Target) -> Floats:
    try:
        return _asked(pipeline, frame, target)
    except Exception as error:  # the user's pipeline may raise anything
        raise TrainingError("evaluate", f"{type(error).__name__}: {error}") from error


def _asked(pipeline: Any, frame: "pd.DataFrame", target: Target) -> Floats:
    ask = pipeline.predict if target.task == "regression" else pipeline.predict_proba
    return _of_target(ask(frame), target)


def _of_target(output: Any, target: Target) -> Floats:
    """A model's output in the form of `trainer.domain.targets`.

    Raises:
        ValueError: it has another shape than the target's answers.
    """
    found = np.asarray(output).astype(np.float64)
    shape = found.shape[1:]
    if target.task == "regression":
        if shape in ((), (1,)):
            return found.reshape(-1)
        needed = "one number"
    else:
        columns = len(target.classes) or 2
        if shape == (columns,):
            return found[:, 1] if target.task == "binary" else found
        needed = f"{columns} probabilities"
    raise ValueError(f"it answers {list(shape)} a row, and a {target.task} model gives {needed}")
