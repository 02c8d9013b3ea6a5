"""Opens a model's file first in a process of its own, which has limits of memory and time.

A file of some hundred bytes can ask for gigabytes, or for a loop without an end, and neither can be
seen before it runs. What ends or hangs there is refused here, and nobody else has noticed.
"""

import importlib
import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from predictor.adapters.models.onnx_model import OnnxModel
from predictor.adapters.models.skops_worker import File, Refused, scores
from predictor.domain.errors import LoadError
from predictor.domain.features import Input, trial_rows
from predictor.ports import Model, OpenModel
from stores.child import Answer, Child, ChildLateError, ChildLostError

START_SECONDS = 60.0
"""Longest start of the process, which imports what opens models."""
KEPT_SECONDS = 5.0
"""How long the process waits for another file: at a start there are several."""

Question = tuple[str, Path, tuple[Input, ...]]
"""Format, file and inputs."""


class Limits(NamedTuple):
    """Of one trial."""

    memory_bytes: int
    """Beyond what the process takes before it opens anything."""
    seconds: float


class Trials:
    """Tries files, one after the other.

    Args:
        limits: of each.
        trusted: types of skops files that the operator trusts.
    """

    def __init__(self, limits: Limits, trusted: tuple[str, ...] = ()) -> None:
        self._limits = limits
        self._child = Child(
            "model-trial", prepare, limits.memory_bytes, trusted, start_seconds=START_SECONDS
        )
        self._lock = threading.Lock()
        self._end: threading.Timer | None = None

    def first(self, format_: str, open_model: OpenModel) -> OpenModel:
        """Open models of a format after they have been tried.

        The function that is returned raises:
            LoadError: the file is refused, or its trial came to no end within the limits.
        """

        def tried(path: Path, inputs: Sequence[Input]) -> Model:
            self._try((format_, path, tuple(inputs)))
            return open_model(path, inputs)

        return tried

    def close(self) -> None:
        """End the process."""
        with self._lock:
            self._forget_timer()
            self._child.kill()

    def _try(self, question: Question) -> None:
        with self._lock:
            self._forget_timer()
            try:
                refused = self._child.ask(question, self._limits.seconds)
            except ChildLateError as error:
                raise LoadError(
                    "trial",
                    f"{question[1].name} was opened for a trial, which {error}"
                    " (MODEL_TRIAL_SECONDS): make it smaller, or raise the limit",
                ) from error
            except ChildLostError as error:
                raise LoadError(
                    "trial",
                    f"{question[1].name} was opened for a trial, whose process {error}: it takes"
                    f" more than {self._limits.memory_bytes} bytes (MODEL_TRIAL_BYTES), or ends"
                    " whatever runs it",
                ) from error
            self._end = threading.Timer(KEPT_SECONDS, self.close)
            self._end.daemon = True
            self._end.start()
        if refused is not None:
            raise LoadError(refused.reason, refused.text)

    def _forget_timer(self) -> None:
        if self._end is not None:
            self._end.cancel()
            self._end = None


def prepare(memory_bytes: int, trusted: tuple[str, ...]) -> Answer:
    """Import what opens models, take the limit, and return what tries them."""
    os.nice(10)  # requests go first
    importlib.import_module("onnxruntime")
    _limit_memory(memory_bytes)

    def answer(question: Question) -> Refused | None:
        format_, path, inputs = question
        return _TRIALS[format_](path, inputs, trusted)

    return answer


def _try_onnx(path: Path, inputs: tuple[Input, ...], trusted: tuple[str, ...]) -> Refused | None:
    try:
        OnnxModel(path, inputs)
    except LoadError as error:
        return Refused(error.reason, str(error))
    return None


def _try_skops(path: Path, inputs: tuple[Input, ...], trusted: tuple[str, ...]) -> Refused | None:
    columns = tuple((each.name, each.kind == "number") for each in inputs)
    file = File.of(path, columns, trusted)
    answers = scores(file, trial_rows(inputs))
    if isinstance(answers, Refused):
        return answers
    failures = [answer for answer in answers if isinstance(answer, str)]
    if len(failures) == len(answers):
        return Refused("signature", f"no trial row is answered: {failures[0]}")
    return None


_TRIALS: dict[str, Callable[[Path, tuple[Input, ...], tuple[str, ...]], Refused | None]] = {
    "onnx": _try_onnx,
    "skops": _try_skops,
}


def _limit_memory(memory_bytes: int) -> None:
    """Let allocations fail beyond so many bytes more than there are now."""
    if sys.platform != "linux":  # elsewhere the limit is that of time
        return
    import resource

    pages = int(Path("/proc/self/statm").read_text().split()[5])
    most = pages * resource.getpagesize() + memory_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
