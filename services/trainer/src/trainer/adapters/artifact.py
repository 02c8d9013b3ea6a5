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
    expected = _answers(pipeline, held.loc[:, [feature.name for feature in features]])
    try:
        onnx = _as_onnx(pipeline, features, held, expected, served)
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
    scores = score("artifact", content, "skops", held, features, trusted)
    parity = _difference(scores, expected)
    if served is not None:
        again = score("artifact", content, "skops", served.served, features, trusted)
        parity = _largest(parity, _difference(again, _answers(pipeline, served.trained)))
    return Exported(content, "skops", scores, parity, why)


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


def _as_onnx(
    pipeline: Any,
    features: Sequence[Feature],
    held: "pd.DataFrame",
    expected: Floats,
    served: Served | None,
) -> Exported:
    content = onnx_artifact.export(pipeline, features)
    scores = score("ONNX file", content, "onnx", held, features)
    parity = _difference(scores, expected)
    if served is not None:
        again = score("ONNX file", content, "onnx", served.served, features)
        parity = _largest(parity, _difference(again, _answers(pipeline, served.trained)))
    return Exported(content, "onnx", scores, parity)


def _difference(scores: Floats, expected: Floats) -> float:
    return float(np.max(np.abs(scores - expected))) if len(scores) else float("nan")


def _largest(first: float, second: float) -> float:
    """The larger difference; NaN where one of them could not be taken."""
    return float(np.maximum(first, second))


def _answers(pipeline: Any, frame: "pd.DataFrame") -> Floats:
    try:
        return np.asarray(pipeline.predict_proba(frame))[:, 1].astype(np.float64)
    except Exception as error:  # the user's pipeline may raise anything
        raise TrainingError(
            "evaluate", f"predict_proba: {type(error).__name__}: {error}"
        ) from error
