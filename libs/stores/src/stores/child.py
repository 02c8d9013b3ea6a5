"""A process of its own for what takes seconds to import, or holds the interpreter's lock.

It is a plain process with a pipe: the executors of the standard library break for good when a
process dies, and cannot stop one that takes too long.
"""

import math
import multiprocessing
import os
import resource
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

Answer = Callable[[Any], Any]


class ChildLostError(Exception):
    """The process died, or did not start; the next question starts another."""


class ChildLateError(ChildLostError):
    """The process took too long for an answer, and was killed."""


class ChildSpentError(ChildLostError):
    """An answer took more processor time than it may, and the system ended the process."""


class ChildCrashedError(ChildLostError):
    """The process ended itself over a question, such as by a wrong access to memory."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a process may take of the machine; the system holds it to that."""

    memory_bytes: int
    """Memory beside what it has once it is prepared; beyond, an allocation fails in it."""
    cpu_seconds: float
    """Processor time of one answer, in whole seconds: on a busy machine an answer may take longer
    without being to blame."""


class Child:
    """A process that answers one question after the other, started when it is needed.

    One thread at a time may use it, but any thread may kill it.

    Args:
        name: of the process.
        prepare: called in the process; imports what is needed, and returns what answers. Both it
            and the arguments go through a pipe.
        args: of `prepare`.
        start_seconds: time that it has to prepare.
        bounds: of what it takes; None: it takes what it needs.
    """

    def __init__(
        self,
        name: str,
        prepare: Callable[..., Answer],
        *args: Any,
        start_seconds: float,
        bounds: Bounds | None = None,
    ) -> None:
        self._name = name
        self._bounds = bounds
        self._work = prepare, args
        self._start_seconds = start_seconds
        self._process: BaseProcess | None = None
        self._pipe: Connection | None = None
        self._prepared = False

    @property
    def pid(self) -> int | None:
        """The id of the process that was started last."""
        return self._process.pid if self._process is not None else None

    def start(self) -> Connection:
        """Start a process unless one lives; does not wait until it is prepared."""
        if self._pipe is None or self._process is None or not self._process.is_alive():
            # Neither threads nor connections of this process are to be copied.
            context = multiprocessing.get_context("spawn")
            self._pipe, theirs = context.Pipe()
            self._process = context.Process(
                target=_serve,
                args=(theirs, self._bounds, *self._work),
                name=self._name,
                daemon=True,
            )
            self._prepared = False
            self._process.start()
            theirs.close()
        return self._pipe

    def ask(self, question: Any, seconds: float) -> Any:
        """The answer to a question.

        Raises:
            ChildLateError: there was none within so many seconds.
            ChildSpentError: it took more processor time than the bounds allow.
            ChildCrashedError: the process ended itself.
            ChildLostError: the process was ended by others, or was not prepared in time.
        """
        pipe = self.start()
        if not self._prepared:
            try:
                self._prepared = self._receive(pipe, self._start_seconds)
            except ChildLateError as error:
                raise ChildLostError(str(error)) from error
        try:
            pipe.send(question)
        except OSError as error:
            raise self._lost() from error
        return self._receive(pipe, seconds)

    def kill(self) -> None:
        """End the process, whatever it does."""
        if self._process is not None:
            self._process.kill()
            self._process.join()

    def _receive(self, pipe: Connection, seconds: float) -> Any:
        try:
            if pipe.poll(seconds):
                return pipe.recv()
        except (EOFError, OSError) as error:
            raise self._lost() from error
        self.kill()
        raise ChildLateError(f"took longer than {seconds:g} s, and was stopped")

    def _lost(self) -> ChildLostError:
        """Why the process is gone, which has closed its pipe."""
        if self._process is not None:
            self._process.join(1.0)  # it may be on its way out; how it went says why
        code = self._process.exitcode if self._process is not None else None
        self.kill()
        if self._bounds is not None and code == -signal.SIGXCPU:
            return ChildSpentError(
                f"took more than {self._bounds.cpu_seconds:g} s of processor time, and was stopped"
            )
        if code in _CRASHES:
            return ChildCrashedError(f"died of {signal.Signals(-code).name}")
        return ChildLostError("died")


_CRASHES = {
    -each for each in (signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSEGV)
}


def _serve(
    pipe: Connection,
    bounds: Bounds | None,
    prepare: Callable[..., Answer],
    args: tuple[Any, ...],
) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the parent decides when it ends
    answer = prepare(*args)
    if bounds is not None:
        _bound_memory(bounds.memory_bytes)
    try:
        pipe.send(True)
        while True:
            question = pipe.recv()
            if bounds is not None:
                _bound_processor(bounds.cpu_seconds)
            pipe.send(answer(question))
    except (EOFError, OSError):
        return


def _bound_memory(more: int) -> None:
    with suppress(OSError):  # where the system runs out of memory all the same, this goes first
        Path("/proc/self/oom_score_adj").write_text("1000")
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:  # systems without it hold nobody to a size of the address space, either
        return
    _lower(resource.RLIMIT_AS, pages * resource.getpagesize() + more)


def _bound_processor(seconds: float) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    _lower(resource.RLIMIT_CORE, 0)
    _lower(resource.RLIMIT_CPU, math.ceil(used.ru_utime + used.ru_stime + seconds))


def _lower(kind: int, wanted: int) -> None:
    _, most = resource.getrlimit(kind)
    resource.setrlimit(
        kind, (wanted if most == resource.RLIM_INFINITY else min(wanted, most), most)
    )


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
