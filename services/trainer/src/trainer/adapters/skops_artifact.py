"""Pipelines as skops files, for those that have no true ONNX form."""

import warnings
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from event_schemas.policy import Feature
from event_schemas.skops import SKOPS_TYPES
from trainer.domain.failure import TrainingError
from trainer.domain.measures import Floats

if TYPE_CHECKING:
    import pandas as pd


def export(pipeline: Any, trusted: Collection[str] = ()) -> bytes:
    """The skops file of a fitted pipeline.

    Args:
        pipeline: fitted.
        trusted: types that the operator trusts beside `SKOPS_TYPES`.

    Raises:
        TrainingError: it holds something that skops cannot write, or that nobody trusts.
    """
    import skops.io

    try:
        content: bytes = skops.io.dumps(pipeline)
    except Exception as error:  # whatever the parts of the pipeline raise
        raise TrainingError(
            "export",
            f"the pipeline has no skops form: {type(error).__name__}: {error}; build it of what can"
            " be imported, without lambdas and functions of its own",
        ) from error
    _check(content, trusted)
    return content


def score(
    artifact: bytes | Path,
    frame: "pd.DataFrame",
    features: Sequence[Feature],
    trusted: Collection[str] = (),
) -> Floats:
    """The probability of the positive class for each row of a frame.

    Raises:
        TrainingError: the file holds a type that nobody trusts; nothing of it is loaded then.
    """
    import skops.io
    from sklearn.exceptions import InconsistentVersionWarning

    content = artifact if isinstance(artifact, bytes) else artifact.read_bytes()
    _check(content, trusted)
    with warnings.catch_warnings():
        # Another release of scikit-learn may load it and answer something else.
        warnings.simplefilter("error", InconsistentVersionWarning)
        pipeline: Any = skops.io.loads(content, trusted=[*SKOPS_TYPES, *trusted])
    names = [feature.name for feature in features]
    return np.asarray(pipeline.predict_proba(frame.loc[:, names]))[:, 1].astype(np.float64)


def _check(content: bytes, trusted: Collection[str]) -> None:
    import skops.io

    unknown = sorted({*skops.io.get_untrusted_types(data=content)} - {*SKOPS_TYPES, *trusted})
    if unknown:
        raise TrainingError(
            "export",
            f"the skops file holds {', '.join(unknown)}, which nobody trusts: build the pipeline"
            " without, or name it in SKOPS_TRUSTED_TYPES of trainer and predictor",
        )
