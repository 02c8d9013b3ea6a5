"""A process of a service, from outside: it serves, drains, and says why it ends."""

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

CHILD = Path(__file__).parent / "children" / "service.py"


def eventually(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not come about in time"
        time.sleep(0.01)


class Child:
    def __init__(self, how: str, folder: Path, **environment: str) -> None:
        self.port = int(environment.setdefault("HTTP_PORT", str(free_port())))
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, str(CHILD), how, str(folder)],
            env={"PATH": os.environ["PATH"], "LOG_LEVEL": "INFO", **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def get(self, path: str, **headers: str) -> tuple[int, str, str]:
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=15)) as connection:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(), answer.headers["content-type"]

    def answers(self, path: str, status: int) -> Callable[[], bool]:
        def ask() -> bool:
            assert self.process.poll() is None, self.process.communicate()
            try:
                return self.get(path)[0] == status
            except OSError:
                return False

        return ask

    def end(self) -> tuple[int, list[dict], str]:
        out, err = self.process.communicate(timeout=20)
        return self.process.returncode, [json.loads(line) for line in out.splitlines()], err


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Child]]:
    children: list[Child] = []

    def begin(how: str, **environment: str) -> Child:
        children.append(Child(how, tmp_path, **environment))
        return children[-1]

    yield begin
    for child in children:
        if child.process.poll() is None:
            child.process.kill()
        child.process.communicate()


def test_a_told_process_answers_what_it_began_then_stops_its_components(
    start: Callable[..., Child], tmp_path: Path
) -> None:
    child = start("well")
    eventually(child.answers("/readyz", 200))
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(child.get, "/slow")
        eventually((tmp_path / "request-begun").exists)
        child.process.send_signal(signal.SIGTERM)
        eventually(lambda: not child_listens(child))
        (tmp_path / "let-go").write_text("")
        status, body, _ = answer.result(timeout=15)
    assert (status, json.loads(body)) == (200, {"worker_stopped": False})
    code, logs, err = child.end()
    assert (code, err) == (0, "")
    assert (tmp_path / "worker-stopped").exists()
    assert logs[-1]["message"] == "run() came back"
    assert {"time", "level", "logger", "service"} <= set(logs[-1])


def child_listens(child: Child) -> bool:
    try:
        child.get("/livez")
    except OSError:
        return False
    return True


def test_it_says_alive_ready_and_how_it_does(start: Callable[..., Child]) -> None:
    child = start("well")
    eventually(child.answers("/readyz", 200))
    assert child.get("/livez")[:2] == (200, "ok\n")
    assert "text/plain" in child.get("/metrics")[2]
    status, body, kind = child.get("/metrics", Accept="application/openmetrics-text")
    assert status == 200
    assert "application/openmetrics-text" in kind
    assert body.endswith("# EOF\n")
    assert "process_cpu_seconds" in body


def test_a_component_that_is_not_ready_is_named(start: Callable[..., Child]) -> None:
    child = start("unready")
    eventually(child.answers("/readyz", 503))
    eventually(child.answers("/livez", 200))
    answer = json.loads(child.get("/readyz")[1])
    assert answer == {"ready": False, "stopping": False, "not_ready": ["worker"]}


@pytest.mark.parametrize(
    ("how", "why"),
    [("crash", "the worker is broken"), ("return", "worker ended without being told to")],
)
def test_a_component_that_ends_by_itself_ends_the_process_with_1(
    start: Callable[..., Child], how: str, why: str
) -> None:
    code, logs, _ = start(how).end()
    assert code == 1
    told = [line for line in logs if "exception" in line]
    assert told[0]["message"] == "worker failed, and the process ends with it"
    assert why in told[0]["exception"]


def test_a_component_that_does_not_stop_is_killed_at_the_end_of_the_grace(
    start: Callable[..., Child],
) -> None:
    child = start("deaf", SHUTDOWN_GRACE_SECONDS="0.5")
    eventually(child.answers("/readyz", 200))
    child.process.send_signal(signal.SIGTERM)
    code, logs, _ = child.end()
    assert code == 1
    assert logs[-1]["message"] == "killed while they ran: worker; their work comes again"


def test_a_second_signal_does_not_wait(start: Callable[..., Child], tmp_path: Path) -> None:
    child = start("deaf", SHUTDOWN_GRACE_SECONDS="600")
    eventually(child.answers("/readyz", 200))
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(child.get, "/slow")
        eventually((tmp_path / "request-begun").exists)
        child.process.send_signal(signal.SIGTERM)
        eventually(lambda: not child_listens(child))
        child.process.send_signal(signal.SIGTERM)
        assert child.end()[0] == 1
        assert answer.exception(timeout=15) or answer.result()[0] == 500


def test_a_taken_port_is_one_line_and_code_2(start: Callable[..., Child]) -> None:
    first = start("well")
    eventually(first.answers("/readyz", 200))
    code, _, err = start("well", HTTP_PORT=str(first.port)).end()
    assert code == 2
    assert err == (
        f"HTTP_HOST=127.0.0.1 HTTP_PORT={first.port}: cannot listen there (Address already in use);"
        " stop what listens on it, or set HTTP_PORT to a free port\n"
    )


def test_each_bad_setting_is_named_with_its_value_and_remedy(start: Callable[..., Child]) -> None:
    code, logs, err = start("well", LOG_LEVEL="LOUD", SHUTDOWN_GRACE_SECONDS="-1").end()
    assert (code, logs) == (2, [])
    level, grace = err.splitlines()
    assert level == (
        "LOG_LEVEL='LOUD': Input should be 'DEBUG', 'INFO', 'WARNING' or 'ERROR';"
        " set it to: Least severe level that is logged (default: 'INFO')"
    )
    assert grace.startswith("SHUTDOWN_GRACE_SECONDS='-1': Input should be greater than 0")
