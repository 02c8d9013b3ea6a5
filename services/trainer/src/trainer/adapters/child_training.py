"""Training in a child process that is kept warm.

The libraries take ten seconds to import and hold the interpreter's lock while they work, so they
live in a process of their own, started once. It is a plain process with a pipe rather than a pool,
because a training that takes too long has to be killed, and a pool cannot do that in Python 3.11.
"""

import logging
import multiprocessing
import os
import threading
import time
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from servicekit.errors import UnavailableError
from trainer.adapters.delta_history import HistorySource
from trainer.domain.failure import TrainingError
from trainer.ports import TrainingResult, TrainingTask

log = logging.getLogger(__name__)

ATTEMPTS = 2
"""A child that dies is replaced once; then the training counts as failed."""


@dataclass(frozen=True, slots=True)
class _Bug:
    """An exception that nobody expected, as text: it may not survive the pipe."""

    text: str


class ChildTraining:
    """A component that keeps the child, and the port that trains with it."""

    def __init__(self, source: HistorySource, *, threads: int, timeout_seconds: float) -> None:
        self.name = "trainer-child"
        self.ready = True
        self._source = source
        self._threads = threads
        self._timeout_seconds = timeout_seconds
        self._lock = threading.Lock()
        self._child: BaseProcess | None = None
        self._pipe: Connection | None = None
        self._closed = False

    def run(self, stop: threading.Event) -> None:
        """Keep a child from now until `stop` is set."""
        with self._lock:
            self._connection()
        stop.wait()
        self.close()

    def close(self) -> None:
        """Kill the child; a training that runs in it comes again at the next start."""
        self._closed = True
        if self._child is not None:
            self._child.kill()
            self._child.join()

    @property
    def pid(self) -> int | None:
        """Process id of the child, if there is one."""
        return self._child.pid if self._child is not None else None

    def train(self, task: TrainingTask) -> TrainingResult:
        """See `Training.train`.

        Raises:
            TrainingError: also when the child died twice, or took too long.
            UnavailableError: also when the service stops.
        """
        with self._lock:
            for attempt in range(1, ATTEMPTS + 1):
                try:
                    answer = self._ask(task)
                except (EOFError, OSError) as error:
                    if self._closed:
                        raise UnavailableError("the service stops") from error
                    log.warning("the training process died, attempt %d of %d", attempt, ATTEMPTS)
                    self._discard()
                    continue
                if isinstance(answer, TrainingResult):
                    stages = ", ".join(f"{k} {v:.2f} s" for k, v in answer.stages.items())
                    log.info("trained %s: %s", task.definition.model, stages)
                    return answer
                if isinstance(answer, Exception):
                    raise answer
                raise RuntimeError(answer.text)
            raise TrainingError(
                "fit",
                f"the training process died {ATTEMPTS} times, maybe for want of memory:"
                " lower training.max_rows",
            )

    def _ask(self, task: TrainingTask) -> "TrainingResult | Exception | _Bug":
        pipe = self._connection()
        pipe.send(task)
        if not pipe.poll(self._timeout_seconds):
            self._discard()
            raise TrainingError(
                "fit",
                f"not done after {self._timeout_seconds:.0f} s (TRAINING_TIMEOUT_SECONDS):"
                " lower training.max_rows",
            )
        return pipe.recv()

    def _connection(self) -> Connection:
        if self._closed:
            raise UnavailableError("the service stops")
        if self._pipe is None or self._child is None or not self._child.is_alive():
            context = multiprocessing.get_context("spawn")
            self._pipe, theirs = context.Pipe()
            self._child = context.Process(
                target=_serve,
                args=(theirs, self._source, self._threads),
                name="trainer-child",
                daemon=True,
            )
            self._child.start()
            theirs.close()
        return self._pipe

    def _discard(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.join()
        self._child = self._pipe = None


def _serve(pipe: Connection, source: HistorySource, threads: int) -> None:
    """The child: train one task after the other, as long as the parent lives."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ["OMP_NUM_THREADS"] = str(threads)  # read when OpenMP is loaded, by warm()
    from trainer.adapters import sklearn_training

    started = time.monotonic()
    sklearn_training.warm(threads)
    log.info("warm after %.1f s", time.monotonic() - started)
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        try:
            answer = sklearn_training.train(task, source)
        except (TrainingError, UnavailableError) as error:
            answer = type(error)(*error.args)  # without its causes, which may not survive the pipe
        except Exception as error:
            traceback.print_exc()
            answer = _Bug(f"{type(error).__name__}: {error}")
        pipe.send(answer)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
