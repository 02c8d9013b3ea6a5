"""Training in a child process that is kept warm: its libraries take ten seconds to import."""

import importlib
import logging
import os
import threading
import traceback
from dataclasses import dataclass

from servicekit.errors import UnavailableError
from stores.child import Answer, Child, ChildLateError, ChildLostError
from trainer.adapters.delta_history import HistorySource
from trainer.domain.failure import TrainingError
from trainer.ports import TrainingResult, TrainingTask

WORK = "trainer.adapters.sklearn_training"
"""Module that the child works with: `warm(threads)` and `train(task, source)`."""

WARM_SECONDS = 300.0
"""Time that a new child has to import its libraries: 20 s on a busy core."""

ATTEMPTS = 2
"""A child that dies is replaced once; then the training counts as failed."""

log = logging.getLogger(__name__)


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
        self._timeout_seconds = timeout_seconds
        self._lock = threading.Lock()
        self._child = Child(self.name, _prepare, work, source, threads, start_seconds=WARM_SECONDS)
        self._closed = False

    def run(self, stop: threading.Event) -> None:
        """Keep a child from now until `stop` is set."""
        with self._lock:
            self._require_open()
            self._child.start()
        stop.wait()
        self.close()

    def close(self) -> None:
        """Kill the child; a training that runs in it comes again at the next start."""
        self._closed = True
        self._child.kill()

    @property
    def pid(self) -> int | None:
        """Process id of the child, if there is one."""
        return self._child.pid

    def train(self, task: TrainingTask) -> TrainingResult:
        """See `Training.train`.

        Raises:
            TrainingError: also when the child died twice, or took too long.
            UnavailableError: also when the service stops.
        """
        with self._lock:
            answer = self._ask(task)
        if isinstance(answer, _Bug):
            raise RuntimeError(answer.text)
        if isinstance(answer, Exception):
            raise answer
        stages = ", ".join(f"{k} {v:.2f} s" for k, v in answer.stages.items())
        log.info("trained %s: %s", task.definition.model, stages)
        return answer

    def _ask(self, task: TrainingTask) -> "TrainingResult | Exception | _Bug":
        for attempt in range(1, ATTEMPTS + 1):
            self._require_open()
            try:
                return self._child.ask(task, self._timeout_seconds)
            except ChildLateError as error:
                raise TrainingError(
                    "fit",
                    f"not done after {self._timeout_seconds:.0f} s (TRAINING_TIMEOUT_SECONDS):"
                    " lower training.max_rows",
                ) from error
            except ChildLostError:
                self._require_open()
                log.warning("the training process died, attempt %d of %d", attempt, ATTEMPTS)
        raise TrainingError(
            "fit",
            f"the training process died {ATTEMPTS} times, maybe for want of memory:"
            " lower training.max_rows",
        )

    def _require_open(self) -> None:
        """Raise UnavailableError when the service stops."""
        if self._closed:
            raise UnavailableError("the service stops")


def _prepare(module: str, source: HistorySource, threads: int) -> Answer:
    os.environ["OMP_NUM_THREADS"] = str(threads)  # read when OpenMP is loaded, by warm()
    work = importlib.import_module(module)
    work.warm(threads)

    def answer(task: TrainingTask) -> "TrainingResult | Exception | _Bug":
        try:
            return work.train(task, source)
        except (TrainingError, UnavailableError) as error:
            return type(error)(*error.args)  # without its causes, which may not survive the pipe
        except Exception as error:
            traceback.print_exc()
            return _Bug(f"{type(error).__name__}: {error}")

    return answer
