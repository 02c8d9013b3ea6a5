"""A forked worker tells of itself, and of the others what they told."""

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from socket import socket

import pytest

from predictor.workers.worker import ForkedWorker, Heartbeat, Heartbeats
from servicekit.listening import reserve


@pytest.fixture
def reserved() -> Iterator[socket]:
    with reserve("127.0.0.1", 0) as port:
        yield port


@pytest.fixture
def heartbeats() -> Heartbeats:
    return Heartbeats(3)


@pytest.fixture
def worker(heartbeats: Heartbeats, reserved: socket) -> ForkedWorker:
    return ForkedWorker(1, heartbeats, reserved)


def test_what_it_reports_is_in_its_own_place(worker: ForkedWorker, heartbeats: Heartbeats) -> None:
    worker.report(listening=True, ready=False)
    before, own, after = heartbeats.read()
    assert (own.pid, own.listening, own.ready) == (os.getpid(), True, False)
    assert own.time > 0
    assert before == after == Heartbeat()


@pytest.mark.parametrize(
    ("listening", "ready", "answers", "unready"),
    [
        (True, True, True, []),
        (True, False, False, ["worker-2"]),
        (False, True, False, []),
        (False, False, False, []),
    ],
)
def test_another_answers_when_it_listens_and_is_ready(
    worker: ForkedWorker,
    heartbeats: Heartbeats,
    listening: bool,
    ready: bool,
    answers: bool,
    unready: list[str],
) -> None:
    heartbeats.write(2, Heartbeat(7, 1.0, listening, ready))
    assert (worker.others_answer, worker.unready) == (answers, unready)


def test_it_is_none_of_the_others(worker: ForkedWorker) -> None:
    worker.report(listening=True, ready=True)
    assert not worker.others_answer
    worker.report(listening=True, ready=False)
    assert worker.unready == []


def test_workers_take_the_port_that_is_reserved(
    worker: ForkedWorker, heartbeats: Heartbeats, reserved: socket
) -> None:
    with worker.listener() as one, ForkedWorker(2, heartbeats, reserved).listener() as other:
        assert one.getsockname() == other.getsockname() == reserved.getsockname()


def test_a_process_stops_when_the_one_at_the_other_end_has_ended() -> None:
    script = """
        import os, signal, sys, threading
        from predictor.workers.worker import stop_with_parent

        told = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: told.set())
        stop_with_parent(sys.stdin.fileno())
        print("waits", told.is_set(), flush=True)
        print("stopped", told.wait(60), flush=True)
    """
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with child:
        assert child.stdin is not None
        assert child.stdout is not None
        assert child.stdout.readline() == "waits False\n"
        child.stdin.close()
        assert child.stdout.readline() == "stopped True\n"
    assert child.returncode == 0
