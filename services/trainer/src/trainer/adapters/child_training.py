"""Training in a child process that is kept warm.

The libraries take ten seconds to import and hold the interpreter's lock while they work, so they
live in a process of their own, started once. It is a plain process with a pipe rather than a pool,
because a training that takes too long has to be killed, and a pool cannot do that in Python 3.11.
"""

import importlib
import logging
import multiprocessing
import os
import signal
import threading
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from servicekit.errors import UnavailableError
from trainer.adapters.delta_history import HistorySource
from trainer.domain.failure import TrainingError
from trainer.ports import TrainingResult, TrainingTask

WORK = "trainer.adapters.sklearn_training"
"""Module that the child works with: `warm(threads)` and `train(task, source)`."""

WARM_SECONDS = 300.0
"""Time that a new child has to import its libraries: 20 s on a busy core."""

log = logging.getLogger(__name__)

ATTEMPTS = 2
"""A child that dies is replaced once; then the training counts as failed."""


@dataclass(frozen=True, slots=True)
class _Bug:
    """An exception that nobody expected, as text: it may not survive the pipe."""

    text: str


class ChildTraining:
    """A component that keeps the child, and the port that trains with it."""

    def __init__(
        self,
        source: HistorySource,
        *,
        threads: int = 1,
        timeout_seconds: float = 1800.0,
        work: str = WORK,
    ) -> None:
        self.name = "trainer-child"
        self.ready = True
        self._source = source
        self._threads = threads
        self._timeout_seconds = timeout_seconds
        self._work = work
        self._lock = threading.Lock()
        self._child: BaseProcess | None = None
        self._pipe: Connection | None = None
        self._warm = False
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
        if not self._warm:
            if not pipe.poll(WARM_SECONDS):
                raise OSError(f"the training process was not warm after {WARM_SECONDS:.0f} s")
            self._warm = pipe.recv()
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
                args=(theirs, self._source, self._threads, self._work),
                name="trainer-child",
                daemon=True,
            )
            self._child.start()
            self._warm = False
            theirs.close()
        return self._pipe

    def _discard(self) -> None:
        if self._child is not None:
            self._child.kill()
            self._child.join()
        self._child = self._pipe = None


def _serve(pipe: Connection, source: HistorySource, threads: int, module: str) -> None:
    """The child: train one task after the other, as long as the parent lives."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ["OMP_NUM_THREADS"] = str(threads)  # read when OpenMP is loaded, by warm()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides when the child ends
    work = importlib.import_module(module)
    work.warm(threads)
    pipe.send(True)
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            return
        try:
            answer = work.train(task, source)
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
