"""A process answers, dies, takes too long, is killed, and does not outlive its parent."""

import os
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from stores.child import (
    Bounds,
    Child,
    ChildCrashedError,
    ChildLateError,
    ChildLostError,
    ChildSpentError,
)


def prepared(greeting: str) -> Callable[[Any], Any]:
    """Answers in a process of its own."""
    if greeting == "late":
        time.sleep(60)
    if greeting == "dead":
        os._exit(1)

    def answer(question: str) -> Any:
        if question == "die":
            os._exit(9)
        if question == "crash":
            os.abort()
        if question == "spin":
            while True:
                pass
        if question.isdecimal():
            return len(bytearray(int(question)))
        if question == "sleep":
            time.sleep(60)
        return greeting, question, os.getpid()

    return answer


@pytest.fixture
def make() -> Iterator[Callable[..., Child]]:
    made: list[Child] = []

    def build(
        greeting: str = "hello", start_seconds: float = 60.0, bounds: Bounds | None = None
    ) -> Child:
        made.append(Child("test", prepared, greeting, start_seconds=start_seconds, bounds=bounds))
        return made[-1]

    yield build
    for child in made:
        child.kill()


def test_one_process_answers_all_questions(make: Callable[..., Child]) -> None:
    child = make()
    assert child.pid is None
    assert child.ask("you", 60) == ("hello", "you", child.pid)
    assert child.ask("me", 60) == ("hello", "me", child.pid)
    assert child.pid != os.getpid()


def test_a_process_that_dies_loses_its_question_and_is_replaced(
    make: Callable[..., Child],
) -> None:
    child = make()
    with pytest.raises(ChildLostError, match="died") as caught:
        child.ask("die", 60)
    assert not isinstance(caught.value, ChildLateError)
    dead = child.pid
    assert child.ask("you", 60)[2] == child.pid != dead


def test_a_process_that_takes_too_long_is_killed(make: Callable[..., Child]) -> None:
    child = make()
    child.ask("you", 60)
    with pytest.raises(ChildLateError, match=r"took longer than 0\.1 s"):
        child.ask("sleep", 0.1)
    assert not alive(child.pid)


@pytest.mark.parametrize("greeting", ["late", "dead"])
def test_a_process_that_is_not_prepared_is_lost(make: Callable[..., Child], greeting: str) -> None:
    with pytest.raises(ChildLostError) as caught:
        make(greeting, start_seconds=1.0 if greeting == "late" else 60.0).ask("you", 60)
    assert not isinstance(caught.value, ChildLateError), "the question is not to blame"


def test_another_thread_may_kill_the_process_that_works(make: Callable[..., Child]) -> None:
    child, lost = make(), threading.Event()
    child.ask("you", 60)

    def ask() -> None:
        with pytest.raises(ChildLostError):
            child.ask("sleep", 60)
        lost.set()

    asking = threading.Thread(target=ask)
    asking.start()
    child.kill()
    asking.join(10)
    # Killed before it was asked, another has begun to sleep.
    child.kill()
    assert lost.wait(10)


def test_it_does_not_outlive_a_parent_that_is_killed_while_it_works(tmp_path: Path) -> None:
    script = textwrap.dedent(
        """
        import sys, threading, time
        from stores.child import Child

        def prepared():
            return lambda question: time.sleep(60)

        if __name__ == "__main__":
            child = Child("test", prepared, start_seconds=60)
            threading.Thread(target=child.ask, args=(1, 60), daemon=True).start()
            while child.pid is None:
                time.sleep(0.001)
            print(child.pid, flush=True)
            sys.stdin.read()
        """
    )
    (tmp_path / "parent.py").write_text(script)
    with subprocess.Popen(
        [sys.executable, str(tmp_path / "parent.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    deadline = time.monotonic() + 20
    while alive(pid):
        assert time.monotonic() < deadline, "the process outlived its parent"
        time.sleep(0.02)


def alive(pid: int | None) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.skipif(sys.platform != "linux", reason="other systems hold nobody to these bounds")
def test_fault_1_5_a_process_has_no_more_memory_and_time_than_its_bounds(
    make: Callable[..., Child],
) -> None:
    child = make(bounds=Bounds(memory_bytes=64 * 2**20, cpu_seconds=1.0))
    assert child.ask(str(48 * 2**20), 60) == 48 * 2**20
    with pytest.raises(ChildSpentError, match="more than 1 s of processor time"):
        child.ask("spin", 60)
    with pytest.raises(ChildLostError, match="died"):  # prepared() lets a MemoryError pass
        child.ask(str(96 * 2**20), 60)


def test_fault_1_5_a_process_that_ends_itself_says_how(make: Callable[..., Child]) -> None:
    with pytest.raises(ChildCrashedError, match="died of SIGABRT"):
        make().ask("crash", 60)
