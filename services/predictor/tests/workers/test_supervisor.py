"""Several workers behind one port, from outside: they share it, are replaced, and drain."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest

from local.process import free_port

CHILD = Path(__file__).parent / "child.py"

pytestmark = pytest.mark.integration


class Service:
    """A supervisor with two workers."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.port = int(environment.setdefault("HTTP_PORT", str(free_port())))
        self._log = (folder / "log").open("a+")
        self.process = subprocess.Popen(
            [sys.executable, str(CHILD), str(folder)],
            env={"PATH": os.environ["PATH"], "TMPDIR": str(folder), **environment},
            stdout=self._log,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def get(self, path: str) -> tuple[int, str]:
        """Ask over a connection of its own, which one of the workers takes."""
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def gets(self, path: str) -> tuple[int, str]:
        """As `get`; 0 where nobody answers."""
        try:
            return self.get(path)
        except OSError:
            return 0, ""

    def pids(self) -> set[int]:
        """The workers that answer, found by asking often enough to meet each."""
        answers = (self.gets("/pid") for _ in range(40))
        return {int(body) for status, body in answers if status == 200}

    def eventually(self, condition: Callable[[], object], seconds: float = 60.0) -> None:
        until = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < until, f"it did not come about in time: {self.said()}"
            time.sleep(0.02)

    def up(self) -> set[int]:
        """Wait until both answer; returns their pids."""
        self.eventually(lambda: self.alive() and self.gets("/readyz")[0] == 200)
        self.eventually(lambda: len(self.pids()) == 2)
        return self.pids()

    def alive(self) -> bool:
        assert self.process.poll() is None, self.said()
        return True

    def sample(self, name: str) -> float | None:
        lines = self.get("/metrics")[1].splitlines()
        return next((float(line.split()[1]) for line in lines if line.startswith(f"{name} ")), None)

    def said(self) -> str:
        self._log.flush()
        return (self.folder / "log").read_text()

    def end(self) -> int:
        return self.process.wait(60)

    def close(self) -> None:
        self._log.close()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    begun: list[Service] = []

    def begin(**environment: str) -> Service:
        begun.append(Service(tmp_path, **environment))
        return begun[-1]

    yield begin
    for each in begun:
        if each.process.poll() is None:
            each.process.terminate()
            each.process.wait(60)
        each.close()


def lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_workers_count_together_and_are_replaced_when_they_die_or_hang(
    start: Callable[..., Service], tmp_path: Path
) -> None:
    service = start()
    first, second = service.up()
    before = service.sample("asked_total")
    assert before is not None
    for _ in range(20):
        service.get("/pid")
    assert {service.sample("asked_total") for _ in range(10)} == {before + 20}
    service.eventually(lambda: service.sample("busy") == 6)
    assert (service.sample("process_open_fds") or 0) > 20

    # One that takes a place, and is not ready yet, gets no connection: the others answer.
    (tmp_path / "late").write_text("")
    os.kill(first, signal.SIGKILL)
    service.eventually(lambda: service.said().count("is process") == 3)
    service.eventually(lambda: service.sample("busy") == 6)  # the new one is at work
    assert service.pids() == {second}
    assert service.get("/readyz")[0] == 200
    assert (service.sample("asked_total") or 0) > before + 20, "what the dead one counted stays"
    (tmp_path / "late").unlink()
    service.eventually(lambda: len(service.pids()) == 2)

    workers = service.pids()
    with pytest.raises(OSError):  # noqa: PT011 - reset or closed, as it comes
        service.get("/hang")
    service.eventually(lambda: len(service.pids()) == 2 and service.pids() != workers)
    assert "has not been heard of for" in service.said()


def test_whichever_is_asked_tells_of_one_that_is_not_ready_and_what_was_begun_is_answered(
    start: Callable[..., Service], tmp_path: Path
) -> None:
    (tmp_path / "late").write_text("")
    service = start()
    service.eventually(lambda: service.alive() and len(service.pids()) == 2)
    status, told = service.get("/readyz")
    assert status == 503
    named = json.loads(told)["not_ready"]
    assert named in (["part", "worker-0"], ["part", "worker-1"])
    (tmp_path / "late").unlink()
    workers = service.up()

    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(service.get, "/slow")
        service.eventually((tmp_path / "request-begun").exists)
        # As a terminal does it: everyone in the foreground gets the signal.
        for pid in (*workers, service.process.pid):
            os.kill(pid, signal.SIGINT)
        service.eventually(lambda: service.gets("/pid")[0] == 0)
        (tmp_path / "let-go").write_text("")
        assert answer.result(60)[0] == 200
    assert service.end() == 0, service.said()
    assert {int(path.name.split("-")[1]) for path in tmp_path.glob("stopped-*")} == workers
    assert not any(lives(pid) for pid in workers)
    assert not list(tmp_path.glob("metrics-*"))


def test_a_taken_port_is_refused_and_workers_end_with_a_supervisor_that_is_killed(
    start: Callable[..., Service],
) -> None:
    service = start()
    workers = service.up()
    second = start(HTTP_PORT=str(service.port))
    assert second.end() == 2
    assert f"HTTP_PORT={service.port}: cannot listen there" in second.said()
    service.process.kill()
    service.process.wait(60)
    service.eventually(lambda: not any(lives(pid) for pid in workers))


@pytest.mark.parametrize(("file", "code"), [("unusable", 2), ("broken", 1)])
def test_workers_that_never_work_end_it_with_their_code(
    start: Callable[..., Service], tmp_path: Path, file: str, code: int
) -> None:
    (tmp_path / file).write_text("")
    service = start()
    assert service.end() == code, service.said()
