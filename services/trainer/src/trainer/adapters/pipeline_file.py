"""The pipeline that a user wrote, loaded from its file."""

import importlib.util
from pathlib import Path
from typing import Any

from trainer.domain.failure import TrainingError


def build_pipeline(path: Path, seed: int) -> Any:
    """What `build_pipeline(seed)` of the file returns; the file is read anew each time.

    Raises:
        TrainingError: the file does not run, or holds no such function.
    """
    spec = importlib.util.spec_from_file_location(f"tailrace_pipeline_{path.parent.name}", path)
    if spec is None or spec.loader is None:
        raise TrainingError("prepare", f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        build = getattr(module, "build_pipeline", None)
        if not callable(build):
            raise TrainingError("prepare", f"{path} has no function build_pipeline(seed)")
        return build(seed)
    except TrainingError:
        raise
    except Exception as error:  # the user's code may raise anything
        raise TrainingError(
            "prepare", f"{path} does not run: {type(error).__name__}: {error}"
        ) from error
