"""Opens each file in a bounded process first, so that a bad one ends there and not in the service.

A file of 372 bytes may ask for two gigabytes, a loop in it may never end, and the parser may crash
over it. In the process that answers, each of these is the end of all models.
"""

import re
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from event_schemas.task import Target
from predictor.adapters.models import skops_worker
from predictor.adapters.models.onnx_model import OnnxModel, import_runtime
from predictor.domain.errors import LoadError
from predictor.domain.features import Input, require_an_answer, trial_rows
from predictor.ports import Model, OpenModel
from servicekit.errors import UnavailableError
from stores.child import (
    Answer,
    Bounds,
    Child,
    ChildCrashedError,
    ChildLostError,
    ChildSpentError,
)

AT_ONCE = 2
"""Files that are tried at a time."""
START_SECONDS = 60.0
"""Longest start of a process, which imports what runs the model."""
WALL = 10
"""How much longer than its processor time a trial may last: the requests go first."""

Format = Literal["onnx", "skops"]

_NO_MEMORY = re.compile(r"bad_alloc|bad allocation|MemoryError|llocate memory|llocation failed")


class Trial:
    """Tries files in processes that live for one file each.

    Args:
        bounds: of what one file may take.
        trusted_types: what the operator trusts in a skops file beside `stores.skops.SKOPS_TYPES`.
    """

    def __init__(self, bounds: Bounds, trusted_types: Sequence[str] = ()) -> None:
        self._bounds = bounds
        self._trusted = tuple(trusted_types)
        self._room = threading.BoundedSemaphore(AT_ONCE)

    def first(self, kind: Format, open_model: OpenModel) -> OpenModel:
        """Opens a file here once it was opened, and has answered, in a process of its own."""

        def opened(path: Path, inputs: Sequence[Input], target: Target) -> Model:
            with self._room:
                self._try(kind, path, inputs, target)
            return open_model(path, inputs, target)

        return opened

    def _try(self, kind: Format, path: Path, inputs: Sequence[Input], target: Target) -> None:
        child = Child(
            f"trial-{kind}", _PREPARE[kind], start_seconds=START_SECONDS, bounds=self._bounds
        )
        question = path, tuple(inputs), target, self._trusted
        try:
            refused = child.ask(question, WALL * self._bounds.cpu_seconds)
        except ChildSpentError as error:
            raise LoadError("endless", f"it {error}: if it is right, raise OPEN_SECONDS") from error
        except ChildCrashedError as error:
            raise LoadError("crashed", f"a process that opened it {error}") from error
        except ChildLostError as error:  # ended by others, or slow: no fault of the file
            raise UnavailableError(f"the process that tries {path} {error}") from error
        finally:
            child.kill()
        if refused is None:
            return
        reason, text = refused
        if _NO_MEMORY.search(text):
            raise LoadError(
                "memory",
                f"it needs more than OPEN_MEMORY_BYTES={self._bounds.memory_bytes}: if it is right,"
                f" raise that ({text})",
            )
        raise LoadError(reason, text)


Question = tuple[Path, tuple[Input, ...], Target, tuple[str, ...]]


def _prepare_onnx() -> Answer:
    import_runtime()
    return _try_onnx


def _try_onnx(question: Question) -> tuple[str, str] | None:
    path, inputs, target, _ = question
    try:
        OnnxModel(path, inputs, target)
    except LoadError as error:
        return error.reason, str(error)
    return None


def _prepare_skops() -> Answer:
    skops_worker.prepare()
    return _try_skops


def _try_skops(question: Question) -> tuple[str, str] | None:
    path, inputs, target, trusted = question
    file = skops_worker.File.of(path, inputs, target, trusted)
    found = skops_worker.answers(file, trial_rows(inputs))
    if isinstance(found, skops_worker.Refused):
        return found.reason, found.text
    try:
        require_an_answer([each if isinstance(each, str) else None for each in found])
    except LoadError as error:
        return error.reason, str(error)
    return None


_PREPARE: dict[Format, Callable[[], Answer]] = {"onnx": _prepare_onnx, "skops": _prepare_skops}
