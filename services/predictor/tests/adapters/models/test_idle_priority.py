import ctypes
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from event_schemas.task import BINARY, Target
from predictor.adapters.models.idle_priority import IdlePriority, at_idle_priority
from predictor.domain.errors import LoadError
from predictor.domain.features import Input, Value
from predictor.ports import Model

FILE = Path("model.onnx")
INPUTS = [Input("x", "number")]
BLOCK, BLOCKS = 64 * 1024, 1600
"""A hundred megabytes in blocks that glibc takes from its heap, not from the system one by one."""
_libc = ctypes.CDLL(None)


class Opened:
    """A model that knows where it was opened."""

    def __init__(self, path: Path, inputs: Sequence[Input], target: Target) -> None:
        self.given = path, inputs, target
        self.thread = threading.current_thread()
        self.policy = os.sched_getscheduler(0) if sys.platform == "linux" else None

    def answers(self, rows: Sequence[Sequence[Value]]) -> list[float]:
        return [0.5] * len(rows)


def opened() -> Opened:
    model = at_idle_priority(Opened, IdlePriority(60.0), bool)(FILE, INPUTS, BINARY)
    assert isinstance(model, Opened)
    return model


@pytest.mark.skipif(sys.platform != "linux", reason="SCHED_IDLE is Linux's")
def test_a_model_is_opened_in_what_others_leave_of_the_core() -> None:
    before = os.sched_getscheduler(0)
    model = opened()
    assert model.given == (FILE, INPUTS, BINARY)
    assert model.policy == os.SCHED_IDLE
    assert os.sched_getscheduler(0) == before


def test_what_has_to_be_prepared_is_so_by_the_caller() -> None:
    threads: list[threading.Thread] = []
    at_idle_priority(
        Opened, IdlePriority(60.0), lambda: threads.append(threading.current_thread())
    )(FILE, INPUTS, BINARY)
    assert threads == [threading.main_thread()]


def test_why_a_model_cannot_be_opened_reaches_the_caller() -> None:
    def refused(path: Path, inputs: Sequence[Input], target: Target) -> Model:
        raise LoadError("unreadable", f"{path} is no model")

    with pytest.raises(LoadError, match="is no model") as caught:
        at_idle_priority(refused, IdlePriority(60.0), bool)(FILE, INPUTS, BINARY)
    assert caught.value.reason == "unreadable"


def test_a_sandbox_that_keeps_the_policy_does_not_keep_the_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def kept(*_: object) -> None:
        raise PermissionError("not here")

    monkeypatch.setattr(os, "sched_setscheduler", kept, raising=False)
    assert opened().answers([[1.0]]) == [0.5]


def test_where_nothing_is_left_of_the_core_the_caller_opens_the_model() -> None:
    starved, over = threading.Event(), threading.Event()

    def busy(path: Path, inputs: Sequence[Input], target: Target) -> Model:
        if threading.current_thread() is not threading.main_thread():
            starved.set()
            assert over.wait(60)
        return Opened(path, inputs, target)

    model = at_idle_priority(busy, IdlePriority(0.01), bool)(FILE, INPUTS, BINARY)
    assert starved.wait(60)
    assert isinstance(model, Opened)
    assert model.thread is threading.main_thread()
    over.set()


def resident() -> int:
    """Bytes of this process that are in memory."""
    (line,) = (
        each
        for each in Path("/proc/self/status").read_text().splitlines()
        if each.startswith("VmRSS:")
    )
    return int(line.split()[1]) * 1024


@pytest.mark.skipif(not hasattr(_libc, "malloc_trim"), reason="this C library keeps no such memory")
def test_memory_that_opening_freed_goes_back_to_the_system() -> None:
    _libc.malloc.restype = ctypes.c_void_p
    _libc.free.argtypes = [ctypes.c_void_p]
    blocks = [_libc.malloc(BLOCK) for _ in range(BLOCKS)]
    for block in blocks:
        ctypes.memset(block, 1, BLOCK)
    *freed, kept = blocks  # the last one: it holds the heap open above the others
    for block in freed:
        _libc.free(block)
    before = resident()
    opened()
    given_back = before - resident()
    _libc.free(kept)
    assert given_back > 0.9 * BLOCK * BLOCKS
