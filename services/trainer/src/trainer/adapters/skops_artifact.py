"""Pipelines as skops files, for those that have no true ONNX form."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from stores.skops import UntrustedTypesError, load, require_trusted
from trainer.domain.failure import TrainingError


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


def open_pipeline(artifact: bytes | Path, trusted: Collection[str] = ()) -> Any:
    """The pipeline that a file holds.

    Raises:
        UntrustedTypesError: nothing of the file was loaded.
    """
    content = artifact if isinstance(artifact, bytes) else artifact.read_bytes()
    return load(content, trusted)
