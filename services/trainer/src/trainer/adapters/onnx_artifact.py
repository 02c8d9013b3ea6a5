"""Pipelines as ONNX: one input a feature, and answers out of such a file."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from event_schemas.policy import Feature
from trainer.domain.failure import TrainingError
from trainer.domain.targets import Floats

if TYPE_CHECKING:
    import pandas as pd

OPSET = 18
"""Holds all that scikit-learn's converters need, and is old enough for any current runtime."""
CHUNK = 50_000
"""Rows answered at once: bounds the memory, not the result."""


def export(pipeline: Any, features: Sequence[Feature], *, classifies: bool) -> bytes:
    """The ONNX file of a fitted pipeline.

    Inputs are named as the features, in their order, of shape [None, 1]: float32 for numbers,
    string for categories. The last output holds the answers: probabilities [None, classes], or
    numbers [None, 1] of a regression.

    Raises:
        TrainingError: the pipeline holds a step that has no ONNX form.
    """
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    kinds = {"number": FloatTensorType, "category": StringTensorType}
    whole = _joining(pipeline, features) if _takes_one_input(pipeline, features) else pipeline
    try:
        model: Any = to_onnx(
            whole,
            initial_types=[(f.name, kinds[f.kind]([None, 1])) for f in features],
            options={id(whole): {"zipmap": False}} if classifies else None,
            target_opset=OPSET,
        )
    except Exception as error:  # the converters raise whatever comes
        raise TrainingError(
            "export",
            f"the pipeline has no ONNX form: {type(error).__name__}: {error}; build it of steps"
            " that skl2onnx converts",
        ) from error
    return model.SerializeToString()


def _takes_one_input(pipeline: Any, features: Sequence[Feature]) -> bool:
    """Whether a pipeline of numbers begins with a step that has no columns of its own."""
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import Pipeline

    first = pipeline
    while isinstance(first, Pipeline):
        first = first.steps[0][1]
    names_columns = isinstance(first, ColumnTransformer)
    return not names_columns and all(f.kind == "number" for f in features)


def _joining(pipeline: Any, features: Sequence[Feature]) -> Any:
    """A pipeline that joins the inputs first: most converters take one alone."""
    import pandas as pd
    from sklearn.compose import ColumnTransformer
    from sklearn.pipeline import Pipeline

    names = [feature.name for feature in features]
    columns = ColumnTransformer([("numbers", "passthrough", names)])
    columns.fit(pd.DataFrame({name: np.zeros(1, np.float32) for name in names}))
    return Pipeline([("columns", columns), ("pipeline", pipeline)])


def run(artifact: bytes | Path, frame: "pd.DataFrame", features: Sequence[Feature]) -> Floats:
    """The file's last output for the rows of a frame."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    source = artifact if isinstance(artifact, bytes) else str(artifact)
    session = onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    output = session.get_outputs()[-1].name
    columns = {f.name: _column(frame, f) for f in features}
    parts = []
    for start in range(0, len(frame), CHUNK):
        feed = {name: column[start : start + CHUNK] for name, column in columns.items()}
        parts.append(session.run([output], feed)[0])
    return np.concatenate(parts).astype(np.float64) if parts else np.empty(0)


def _column(frame: "pd.DataFrame", feature: Feature) -> Any:
    kind = np.float32 if feature.kind == "number" else object
    return frame[feature.name].to_numpy(dtype=kind).reshape(-1, 1)
