"""Opens models in what the event loop leaves of its core."""

import ctypes
import logging
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from pathlib import Path

from predictor.domain.features import Input
from predictor.ports import Model, OpenModel

log = logging.getLogger(__name__)


def aside(open_model: OpenModel, patience: float, prepare: Callable[[], object]) -> OpenModel:
    """Open models on a thread that gives the core back whenever another wants it.

    Requests that come meanwhile would else wait: a low priority is not enough, since Linux lets a
    thread that has just begun go on for some milliseconds. A core that is never idle would leave
    such a thread nothing, so after a while the caller opens the model as well.

    Args:
        open_model: mostly at work outside of Python, whose lock would stop the event loop.
        patience: seconds after which the caller does it.
        prepare: done by the caller each time before: what is Python's work, such as imports.
    """

    def opened(path: Path, inputs: Sequence[Input]) -> Model:
        model = open_model(path, inputs)
        if _malloc_trim is not None:
            _malloc_trim(0)
        return model

    def opened_aside(path: Path, inputs: Sequence[Input]) -> Model:
        prepare()
        first: Future[Model] = Future()

        def work() -> None:
            _stand_aside()
            try:
                first.set_result(opened(path, inputs))
            except BaseException as error:
                first.set_exception(error)

        threading.Thread(target=work, name="open-model", daemon=True).start()
        wait([first], patience)
        if first.done():
            return first.result()
        log.info("%s is not open after %g s: the requests take all of the core", path, patience)
        return opened(path, inputs)

    return opened_aside


def _stand_aside() -> None:
    if hasattr(os, "SCHED_IDLE"):  # Linux
        with suppress(PermissionError):  # a sandbox may keep it; then requests wait a bit
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


_malloc_trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
"""Gives back to the system what is free: a model is parsed in several times the memory that it then
takes, which glibc would keep. Other allocators have no such call."""
