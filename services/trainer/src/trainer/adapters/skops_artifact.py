"""Pipelines as skops files, for those that have no true ONNX form."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from event_schemas.policy import Feature
from stores.skops import UntrustedTypesError, load, require_trusted
from trainer.domain.failure import TrainingError
from trainer.domain.measures import Floats

if TYPE_CHECKING:
    import pandas as pd


def export(pipeline: Any, trusted: Collection[str] = ()) -> bytes:
    """The skops file of a fitted pipeline.

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
    try:
        require_trusted(content, trusted)
    except UntrustedTypesError as error:
        raise TrainingError("export", str(error)) from error
    return content


def score(
    artifact: bytes | Path,
    frame: "pd.DataFrame",
    features: Sequence[Feature],
    trusted: Collection[str] = (),
) -> Floats:
    """The probability of the positive class for each row of a frame.

    Raises:
        UntrustedTypesError: nothing of the file was loaded.
    """
    content = artifact if isinstance(artifact, bytes) else artifact.read_bytes()
    pipeline = load(content, trusted)
    names = [feature.name for feature in features]
    return np.asarray(pipeline.predict_proba(frame.loc[:, names]))[:, 1].astype(np.float64)
