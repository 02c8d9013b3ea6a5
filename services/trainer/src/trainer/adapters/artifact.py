"""What a fitted pipeline becomes: ONNX where that answers as scikit-learn does, otherwise skops."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from event_schemas.policy import Feature, GatePolicy
from trainer.adapters import onnx_artifact, skops_artifact
from trainer.domain.failure import TrainingError
from trainer.domain.measures import Floats

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class Exported:
    """A file, and how it answers."""

    content: bytes
    format: Literal["onnx", "skops"]
    scores: Floats
    """Of the held-out rows, by the file itself."""
    parity: float
    """Largest difference from scikit-learn on them, and on rows as they are served; NaN when there
    is none to take."""
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
    held: "pd.DataFrame",
    policy: GatePolicy,
    trusted: Collection[str] = (),
    served: Served | None = None,
) -> Exported:
    """The file of a fitted pipeline, scored on held-out rows, and on some as they are served.

    Where the policy allows nothing else, an ONNX file is given however far off it is: the parity
    gate then refuses it.

    Raises:
        TrainingError: there is no file that the policy allows.
    """
    names = [feature.name for feature in features]
    trials = [_Trial(held, _answers(pipeline, held.loc[:, names]))]
    if served is not None:
        trials.append(_Trial(served.served, _answers(pipeline, served.trained)))
    try:
        content = onnx_artifact.export(pipeline, features)
        onnx = _tried(content, "onnx", trials, features)
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
    return _tried(content, "skops", trials, features, trusted, why)


def score(
    what: str,
    artifact: Any,
    form: str,
    frame: "pd.DataFrame",
    features: Sequence[Feature],
    trusted: Collection[str] = (),
) -> Floats:
    """The probability of the positive class for each row of a frame.

    Raises:
        TrainingError: the file does not run; the text names it as `what`.
    """
    try:
        if form == "skops":
            return skops_artifact.score(artifact, frame, features, trusted)
        return onnx_artifact.score(artifact, frame, features)
    except Exception as error:
        text = f"the {what} does not run: {type(error).__name__}: {error}"
        raise TrainingError("evaluate", text) from error


@dataclass(frozen=True, slots=True)
class _Trial:
    """Rows for a file, and what scikit-learn answers to them."""

    rows: "pd.DataFrame"
    expected: Floats


def _tried(
    content: bytes,
    form: Literal["onnx", "skops"],
    trials: Sequence[_Trial],
    features: Sequence[Feature],
    trusted: Collection[str] = (),
    why_not_onnx: str | None = None,
) -> Exported:
    """A file with its scores of the first trial, and its parity on all of them."""
    what = {"onnx": "ONNX file", "skops": "artifact"}[form]
    scores = [score(what, content, form, each.rows, features, trusted) for each in trials]
    differences = [_difference(s, each.expected) for s, each in zip(scores, trials, strict=True)]
    # Unlike Python's, NumPy's maximum is NaN where one could not be taken.
    return Exported(content, form, scores[0], float(np.max(differences)), why_not_onnx)


def _difference(scores: Floats, expected: Floats) -> float:
    return float(np.max(np.abs(scores - expected))) if len(scores) else float("nan")


def _answers(pipeline: Any, frame: "pd.DataFrame") -> Floats:
    try:
        return np.asarray(pipeline.predict_proba(frame))[:, 1].astype(np.float64)
    except Exception as error:  # the user's pipeline may raise anything
        raise TrainingError(
            "evaluate", f"predict_proba: {type(error).__name__}: {error}"
        ) from error
