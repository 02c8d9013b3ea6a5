"""Answers with scikit-learn pipelines out of skops files; runs in processes of its own.

What goes through the pipe is plain: lists, texts and numbers.
"""

import hashlib
import importlib
from collections.abc import Callable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from event_schemas.task import Target
from predictor.domain.answer import Answer, Answers, answers_of
from predictor.domain.features import Input, Value
from stores import child
from stores.skops import UntrustedTypesError, load


class File(NamedTuple):
    """A skops file, and how its pipeline is asked."""

    path: str
    sha256: str
    columns: tuple[tuple[str, bool], ...]
    """Name of each input, and whether it is a number."""
    trusted: tuple[str, ...]
    """Types that the operator trusts."""
    target: Target

    @classmethod
    def of(
        cls, path: Path, inputs: Sequence[Input], target: Target, trusted: tuple[str, ...]
    ) -> "File":
        """A file as it is now, and the inputs that it is to take."""
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        columns = tuple((each.name, each.kind == "number") for each in inputs)
        return cls(str(path), digest, columns, trusted, target)


class Refused(NamedTuple):
    """The file cannot be loaded; see `LoadError`."""

    reason: str
    text: str


def prepare() -> child.Answer:
    """Import what is not to count as time of a batch, and return what answers batches."""
    importlib.import_module("pandas")
    importlib.import_module("skops.io")
    return lambda question: answers(*question)


def answers(file: File, rows: Sequence[Sequence[Value]]) -> list[Answer | str] | Refused:
    """The answer to each row, or why it has none."""
    method = "predict" if file.target.task == "regression" else "predict_proba"
    loaded = _load(file.path, file.sha256, file.trusted)
    if isinstance(loaded, Refused):
        return loaded
    if not hasattr(loaded, method):
        return Refused("signature", f"a {type(loaded).__name__} has no {method}")
    ask, meaning = getattr(loaded, method), answers_of(file.target)
    try:
        return _asked(ask, meaning, file.columns, rows)
    except Exception as error:  # a pipeline may raise anything
        if len(rows) == 1:
            return [f"{type(error).__name__}: {error}"]
    # One bad row is not to fail its neighbours.
    found: list[Answer | str] = []
    for row in rows:
        try:
            found += _asked(ask, meaning, file.columns, [row])
        except Exception as error:
            found.append(f"{type(error).__name__}: {error}")
    return found


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
    return pipeline


def _asked(
    ask: Callable[[Any], Any],
    meaning: Answers,
    columns: Sequence[tuple[str, bool]],
    rows: Sequence[Sequence[Value]],
) -> list[Answer | str]:
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
    output = np.asarray(ask(frame)).astype(float)
    meaning.require_shape(output.shape, len(rows))
    return [*meaning.of_output(output)]
