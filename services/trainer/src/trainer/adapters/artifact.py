"""What a fitted pipeline becomes: ONNX where that answers as the pipeline does, otherwise skops."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from event_schemas.policy import Feature, GatePolicy
from event_schemas.task import Target
from trainer.adapters import onnx_artifact, skops_artifact
from trainer.domain.failure import TrainingError
from trainer.domain.targets import Floats

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Exported:
    """A file, and how it answers."""

    content: bytes
    format: Literal["onnx", "skops"]
    answers: Floats
    """To the held-out rows, by the file itself."""
    parity: float
    """Largest difference from the pipeline on them, and on rows as they are served, of numbers as a
    share of the largest; NaN when there is none to take."""
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
    """The file of a fitted pipeline, tried on held-out rows, and on some as they are served.

    Where the policy allows nothing else, an ONNX file is given however far off it is: the parity
    gate then refuses it.

    Raises:
        TrainingError: there is no file that the policy allows.
    """
    names = [feature.name for feature in features]
    trials = [_Trial(held, _expected(pipeline, held.loc[:, names], target))]
    if served is not None:
        trials.append(_Trial(served.served, _expected(pipeline, served.trained, target)))
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
    differences = [_difference(f, t.expected, target) for f, t in zip(found, trials, strict=True)]
    # Unlike Python's, NumPy's maximum is NaN where one could not be taken.
    return Exported(content, form, found[0], float(np.max(differences)), why_not_onnx)


def _difference(found: Floats, expected: Floats, target: Target) -> float:
    if not len(found):
        return float("nan")
    largest = float(np.max(np.abs(expected))) if target.task == "regression" else 1.0
    return float(np.max(np.abs(found - expected))) / (largest or 1.0)


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
