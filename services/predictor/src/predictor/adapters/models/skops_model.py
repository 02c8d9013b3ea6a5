"""Runs skops files in processes of their own, where 3 ms a row keep nobody else waiting."""

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from event_schemas.task import BINARY, Target
from predictor.adapters.models import skops_worker
from predictor.domain.answer import Answer
from predictor.domain.errors import CannotAnswerError, LoadError, ModelFailedError
from predictor.domain.features import Input, Value, require_an_answer, trial_rows
from servicekit.errors import UnavailableError
from stores.child import Child, ChildLostError

log = logging.getLogger(__name__)

START_SECONDS = 60.0
"""Longest start of a process, which imports scikit-learn, and longest first load of a file."""

Found = Sequence[Answer | ModelFailedError]


class SkopsPool:
    """Opens skops files; its processes start with the first.

    A process that dies or takes too long is replaced, and fails nobody but the batch that it had.

    Args:
        workers: processes.
        timeout_seconds: longest run of one batch.
        max_batches: batches that run or wait.
        trusted_types: what the operator trusts beside `stores.skops.SKOPS_TYPES`.
    """

    def __init__(
        self,
        *,
        workers: int = 1,
        timeout_seconds: float = 5.0,
        max_batches: int = 32,
        trusted_types: Sequence[str] = (),
    ) -> None:
        self._timeout_seconds = timeout_seconds
        self._max_batches = max_batches
        self._trusted = tuple(trusted_types)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="skops")
        self._free: SimpleQueue[Child] = SimpleQueue()
        for _ in range(workers):
            self._free.put(Child("skops", skops_worker.prepare, start_seconds=START_SECONDS))
        self._workers = workers
        self._lock = threading.Lock()
        self._under_way = 0

    def open(self, path: Path, inputs: Sequence[Input], target: Target = BINARY) -> "SkopsModel":
        """See `OpenModel`."""
        file = skops_worker.File.of(path, inputs, target, self._trusted)
        try:
            found = self._schedule(file, trial_rows(inputs), START_SECONDS).result()
        except CannotAnswerError as error:  # a lost process is no fault of the file
            raise UnavailableError(error.message) from error
        require_an_answer([f.message if isinstance(f, ModelFailedError) else None for f in found])
        return SkopsModel(self, file)

    def submit(self, file: skops_worker.File, rows: Sequence[Sequence[Value]]) -> "Future[Found]":
        """Answer rows; see `ChildModel.submit`.

        Raises:
            CannotAnswerError: too many batches wait.
        """
        with self._lock:
            if self._under_way >= self._max_batches:
                raise CannotAnswerError(
                    "overloaded",
                    f"{self._under_way} batches wait for scikit-learn, of {self._max_batches}: try"
                    " again in a moment",
                )
        return self._schedule(file, rows, self._timeout_seconds)

    def close(self) -> None:
        """End the processes when they have done what they were asked."""
        self._threads.shutdown()
        for _ in range(self._workers):
            self._free.get().kill()

    def _schedule(
        self, file: skops_worker.File, rows: Sequence[Sequence[Value]], seconds: float
    ) -> "Future[Found]":
        with self._lock:
            try:
                asked = self._threads.submit(self._run, file, rows, seconds)
            except RuntimeError as error:
                raise CannotAnswerError("stopping", "the predictor stops: ask another") from error
            self._under_way += 1
        asked.add_done_callback(self._count_down)
        return asked

    def _count_down(self, _: "Future[Found]") -> None:
        with self._lock:
            self._under_way -= 1

    def _run(
        self, file: skops_worker.File, rows: Sequence[Sequence[Value]], seconds: float
    ) -> Found:
        process = self._free.get()
        try:
            answer = process.ask((file, rows), seconds)
        except ChildLostError as error:
            lost = f"the process of the model {error}"
            log.error("%s", lost)
            raise CannotAnswerError("model_lost", f"{lost}: try again in a moment") from error
        finally:
            self._free.put(process)
        if isinstance(answer, skops_worker.Refused):
            raise LoadError(answer.reason, answer.text)
        return [
            ModelFailedError("model_failed", f"the model failed: {each}")
            if isinstance(each, str)
            else each
            for each in answer
        ]


class SkopsModel:
    """One file, in whichever process is free."""

    def __init__(self, pool: SkopsPool, file: skops_worker.File) -> None:
        self._pool = pool
        self._file = file

    def submit(self, rows: Sequence[Sequence[Value]]) -> "Future[Found]":
        """See `ChildModel.submit`."""
        return self._pool.submit(self._file, rows)

    def answers(self, rows: Sequence[Sequence[Value]]) -> Sequence[Answer]:
        """See `Model.answers`."""
        found: list[Answer] = []
        for each in self.submit(rows).result():
            if isinstance(each, ModelFailedError):
                raise each
            found.append(each)
        return found
