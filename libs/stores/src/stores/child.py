"""A process of its own for what takes seconds to import, or holds the interpreter's lock.

It is a plain process with a pipe: the executors of the standard library break for good when a
process dies, and cannot stop one that takes too long.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

Answer = Callable[[Any], Any]


class ChildLostError(Exception):
    """The process died, or did not start; the next question starts another."""


class ChildLateError(ChildLostError):
    """The process took too long for an answer, and was killed."""


class Child:
    """A process that answers one question after the other, started when it is needed.

    One thread at a time may use it, but any thread may kill it.

    Args:
        name: of the process.
        prepare: called in the process; imports what is needed, and returns what answers. Both it
            and the arguments go through a pipe.
        args: of `prepare`.
        start_seconds: time that it has to prepare.
    """

    def __init__(
        self, name: str, prepare: Callable[..., Answer], *args: Any, start_seconds: float
    ) -> None:
        self._name = name
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
                target=_serve, args=(theirs, *self._work), name=self._name, daemon=True
            )
            self._prepared = False
            self._process.start()
            theirs.close()
        return self._pipe

    def ask(self, question: Any, seconds: float) -> Any:
        """The answer to a question.

        Raises:
            ChildLateError: there was none within so many seconds.
            ChildLostError: the process died, or was not prepared in time.
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
            self.kill()
            raise ChildLostError("died") from error
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
            self.kill()
            raise ChildLostError("died") from error
        self.kill()
        raise ChildLateError(f"took longer than {seconds:g} s, and was stopped")


def _serve(pipe: Connection, prepare: Callable[..., Answer], args: tuple[Any, ...]) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the parent decides when it ends
    answer = prepare(*args)
    try:
        pipe.send(True)
        while True:
            pipe.send(answer(pipe.recv()))
    except (EOFError, OSError):
        return


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
