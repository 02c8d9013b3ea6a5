"""Does work with the processor time that the event loop leaves."""

import ctypes
import logging
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from event_schemas.task import Target
from predictor.domain.features import Input
from predictor.ports import Model, OpenModel

log = logging.getLogger(__name__)

T = TypeVar("T")


class IdlePriority:
    """Work on threads that give the core back whenever another wants it.

    Requests that come meanwhile would else wait: a low priority is not enough, since Linux lets a
    thread that has just begun go on for some milliseconds. A core that is never idle would leave
    such a thread nothing, so after `patience` seconds the caller does the work as well.
    """

    def __init__(self, patience: float) -> None:
        self._patience = patience

    def run(self, work: Callable[[], T], doing: str) -> T:
        """Do the work and return what comes of it; blocks.

        Args:
            work: mostly outside of Python, whose lock would stop the event loop; it may be done
                twice at a time.
            doing: what it is, for the log.
        """
        first: Future[T] = Future()

        def at_idle() -> None:
            _take_idle_priority()
            try:
                first.set_result(work())
            except BaseException as error:
                first.set_exception(error)

        threading.Thread(target=at_idle, name="idle-priority", daemon=True).start()
        wait([first], self._patience)
        if first.done():
            return first.result()
        log.info(
            "%s is not done after %g s: the requests take all of the core", doing, self._patience
        )
        return work()


def at_idle_priority(
    open_model: OpenModel, idle: IdlePriority, prepare: Callable[[], object]
) -> OpenModel:
    """Open models at idle priority.

    Args:
        open_model: opens one.
        idle: does so.
        prepare: what the caller does first, each time: Python's own work, such as imports.
    """

    def opened(path: Path, inputs: Sequence[Input], target: Target) -> Model:
        model = open_model(path, inputs, target)
        if _malloc_trim is not None:
            _malloc_trim(0)
        return model

    def open_at_idle(path: Path, inputs: Sequence[Input], target: Target) -> Model:
        prepare()
        return idle.run(lambda: opened(path, inputs, target), f"opening {path}")

    return open_at_idle


def _take_idle_priority() -> None:
    if hasattr(os, "SCHED_IDLE"):  # Linux
        with suppress(PermissionError):  # a sandbox may keep it; then requests wait a bit
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


_malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
"""Gives back to the system what is free: a model is parsed in several times the memory that it then
takes, which glibc would keep. Other allocators have no such call."""
