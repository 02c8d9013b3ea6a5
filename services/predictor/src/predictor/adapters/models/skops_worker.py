"""Scores with scikit-learn pipelines out of skops files; runs in processes of its own.

What goes through the pipe is plain: lists, texts and numbers.
"""

import hashlib
import importlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from predictor.domain.features import Input, Value
from stores.child import Answer
from stores.skops import UntrustedTypesError, load


class File(NamedTuple):
    """A skops file, and how its pipeline is asked."""

    path: str
    sha256: str
    columns: tuple[tuple[str, bool], ...]
    """Name of each input, and whether it is a number."""
    trusted: tuple[str, ...]
    """Types that the operator trusts."""

    @classmethod
    def of(cls, path: Path, inputs: Sequence[Input], trusted: tuple[str, ...]) -> "File":
        """A file as it is now, and the inputs that it is to take."""
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        columns = tuple((each.name, each.kind == "number") for each in inputs)
        return cls(str(path), digest, columns, trusted)


class Refused(NamedTuple):
    """The file cannot be loaded; see `LoadError`."""

    reason: str
    text: str


def prepare() -> Answer:
    """Import what is not to count as time of a batch, and return what answers batches."""
    importlib.import_module("pandas")
    importlib.import_module("skops.io")
    return lambda question: scores(*question)


def scores(file: File, rows: Sequence[Sequence[Value]]) -> list[float | str] | Refused:
    """The probability of the positive class of each row, or why it has none."""
    loaded = _load(file.path, file.sha256, file.trusted)
    if isinstance(loaded, Refused):
        return loaded
    try:
        return _answers(loaded, file.columns, rows)
    except Exception as error:  # a pipeline may raise anything
        if len(rows) == 1:
            return [f"{type(error).__name__}: {error}"]
    # One bad row is not to fail its neighbours.
    answers: list[float | str] = []
    for row in rows:
        try:
            answers += _answers(loaded, file.columns, [row])
        except Exception as error:
            answers.append(f"{type(error).__name__}: {error}")
    return answers


@lru_cache(maxsize=16)
def _load(path: str, sha256: str, trusted: tuple[str, ...]) -> Any:
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        return Refused("missing", f"{path}: {error}")
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:  # a process that was replaced loads again, maybe days after the check
        return Refused("sha256", f"{path} has sha256 {found}, and was {sha256}")
    try:
        pipeline = load(content, trusted)
    except UntrustedTypesError as error:
        return Refused("untrusted", str(error))
    except Exception as error:
        return Refused(
            "unreadable", f"no skops file that can be run: {type(error).__name__}: {error}"
        )
    if not hasattr(pipeline, "predict_proba"):
        return Refused("signature", f"a {type(pipeline).__name__} gives no probabilities")
    return pipeline


def _answers(
    pipeline: Any, columns: Sequence[tuple[str, bool]], rows: Sequence[Sequence[Value]]
) -> list[float | str]:
    import pandas as pd

    # As in training: float32 for numbers (missing: NaN), str for categories (missing: "").
    frame = pd.DataFrame(
        {
            name: np.array(column, np.float32)
            if number
            else np.array(["" if value is None else value for value in column], object)
            for (name, number), column in zip(columns, zip(*rows, strict=True), strict=True)
        }
    )
    probabilities = np.asarray(pipeline.predict_proba(frame))
    if probabilities.shape != (len(rows), 2):
        shape = probabilities.shape
        raise ValueError(f"probabilities of shape {shape}, not ({len(rows)}, 2)")
    return probabilities[:, 1].astype(float).tolist()
