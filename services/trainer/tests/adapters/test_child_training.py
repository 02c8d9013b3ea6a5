"""The child lives and dies as it should; its work is a script here, so that it starts at once."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from servicekit.errors import UnavailableError
from trainer.adapters.child_training import ChildTraining
from trainer.adapters.delta_history import HistorySource
from trainer.domain.failure import TrainingError
from trainer.ports import TrainingTask

WORK = """
import os, time
from pathlib import Path
from servicekit.errors import UnavailableError
from trainer.domain.failure import TrainingError
from trainer.domain.measures import Measure
from trainer.ports import TrainingResult

def warm(threads):
    global THREADS
    THREADS = threads

def train(task, source):
    marks = Path(source.lake_uri)
    count = len(list(marks.iterdir()))
    (marks / str(count)).touch()
    match task.champion_name:
        case "die once" if count == 0:
            os._exit(9)
        case "die":
            os._exit(9)
        case "sleep":
            time.sleep(60)
        case "refuse":
            raise TrainingError("prepare", "one class only")
        case "outage":
            raise UnavailableError("the lake is away")
        case "bug":
            raise ZeroDivisionError("oh")
    return TrainingResult(
        b"", b"", (), (), 0.0, 0.0, 0.0, os.getpid(), THREADS, (), {"fit": 0.0}
    )
"""

Make = Callable[..., ChildTraining]


@pytest.fixture
def make(tmp_path, monkeypatch):
    (tmp_path / "scripted_work.py").write_text(WORK)
    (tmp_path / "marks").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    made = []

    def build(**options) -> ChildTraining:
        source = HistorySource(str(tmp_path / "marks"), tmp_path)
        made.append(ChildTraining(source, work="scripted_work", **options))
        return made[-1]

    yield build
    for child in made:
        child.close()


@pytest.fixture
def task(define):
    def build(what: str = "") -> TrainingTask:
        return TrainingTask(define(), datetime(2013, 1, 1, tzinfo=UTC), None, champion_name=what)

    return build


def gone(pid: int, seconds: float = 10.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        status = Path(f"/proc/{pid}/stat")
        if not status.exists() or status.read_text().rsplit(")", 1)[1].split()[0] == "Z":
            return True
        time.sleep(0.02)
    return False


def test_one_child_serves_all_trainings_and_tells_what_went_wrong(make, task):
    child = make(threads=3)
    first = child.train(task())
    assert first.train_rows != os.getpid()
    assert first.holdout_rows == 3
    with pytest.raises(TrainingError, match="one class only") as caught:
        child.train(task("refuse"))
    assert caught.value.stage == "prepare"
    with pytest.raises(UnavailableError, match="the lake is away"):
        child.train(task("outage"))
    with pytest.raises(RuntimeError, match="ZeroDivisionError: oh"):
        child.train(task("bug"))
    assert child.train(task()).train_rows == first.train_rows == child.pid


def test_a_child_that_dies_is_replaced_once(make, task):
    child = make()
    assert child.train(task("die once")).train_rows == child.pid
    with pytest.raises(TrainingError, match="died 2 times"):
        child.train(task("die"))


def test_a_training_that_takes_too_long_is_killed(make, task):
    child = make(timeout_seconds=1.0)
    pid = child.train(task()).train_rows
    with pytest.raises(TrainingError, match="not done after 1 s"):
        child.train(task("sleep"))
    assert gone(pid)


def test_stopping_ends_the_child_and_leaves_the_training_for_later(make, task):
    child, stop = make(), threading.Event()
    component = threading.Thread(target=child.run, args=(stop,))
    component.start()
    pid = child.train(task()).train_rows
    errors = []

    def train() -> None:
        with pytest.raises(UnavailableError) as caught:
            child.train(task("sleep"))
        errors.append(caught.value)

    training = threading.Thread(target=train)
    training.start()
    stop.set()
    training.join(timeout=10)
    component.join(timeout=10)
    assert [str(e) for e in errors] == ["the service stops"]
    assert gone(pid)


def test_the_child_does_not_outlive_a_parent_that_is_killed(tmp_path):
    (tmp_path / "idle_work.py").write_text("def warm(threads): ...\n")
    script = textwrap.dedent(
        """
        import sys, threading
        from pathlib import Path
        from trainer.adapters.child_training import ChildTraining
        from trainer.adapters.delta_history import HistorySource

        if __name__ == "__main__":
            child = ChildTraining(HistorySource("", Path()), work="idle_work")
            threading.Thread(target=child.run, args=(threading.Event(),), daemon=True).start()
            while child.pid is None:
                pass
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
        assert not gone(pid, seconds=0.1)
        parent.send_signal(signal.SIGKILL)
    assert gone(pid)
