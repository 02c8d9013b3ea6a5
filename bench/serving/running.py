"""A server on its core, with all of its processes ended afterwards."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
from bench.serving.load import SERVER_CORE
from bench.serving.model import answered, bodies, expected
from bench.serving.servers import Server

from local.process import free_port

START_SECONDS = 180.0
CHECKED = 20
"""Answers that are held against scikit-learn's before the load begins."""


class StartError(Exception):
    """A server that does not serve; the text says why."""


@contextmanager
def running(
    server: Server, folder: Path, cores: str = str(SERVER_CORE)
) -> Iterator[tuple[str, int]]:
    """Start a server and wait until it answers rightly; yields its address and its process.

    Raises:
        StartError: it ended, was not ready in time, or answers wrongly.
    """
    port = free_port()
    words = [server.python]
    words += [
        w.replace("{port}", str(port)).replace("{folder}", str(folder)) for w in server.command
    ]
    log = folder / f"{server.key}.log"
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PROMETHEUS_", "OMP_"))}
    environment |= {
        "PATH": f"{Path(server.python).parent}:{os.environ['PATH']}",
        "HTTP_PORT": str(port),
        "MLSERVER_HTTP_PORT": str(port),
        "MLSERVER_GRPC_PORT": str(free_port()),
        "MLSERVER_METRICS_PORT": str(free_port()),
        "MLSERVER_PARALLEL_WORKERS": "0",
        "MLSERVER_DEBUG": "false",
        "MODEL_FOLDER": str(folder),
        "HOME": str(folder),
        **server.env,
    }
    with log.open("ab") as output:
        process = subprocess.Popen(
            ["taskset", "-c", cores, *words],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=environment,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait(process, f"{url}{server.ready}", log)
        if server.role != "floor":
            _check(server, url, folder)
        yield url, process.pid
    finally:
        _end(process)


def _wait(process: "subprocess.Popen[bytes]", page: str, log: Path) -> None:
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until:
        if process.poll() is not None:
            raise StartError(f"it ended with code {process.returncode}: {_tail(log)}")
        with suppress(httpx.HTTPError):
            if httpx.get(page, timeout=2).status_code == 200:
                return
        time.sleep(0.1)
    raise StartError(f"it was not ready within {START_SECONDS:g} s: {_tail(log)}")


def _check(server: Server, url: str, folder: Path) -> None:
    wanted = expected(folder, server.bodies, CHECKED)
    for body, score in zip(bodies(server.bodies), wanted, strict=False):
        answer = httpx.post(
            f"{url}{server.path}", content=body, headers={"content-type": "application/json"}
        )
        if answer.status_code != 200:
            raise StartError(f"it answers {answer.status_code}: {answer.text[:400]}")
        found = answered(server.bodies, answer.content)
        if abs(found - score) > 1e-5:
            raise StartError(f"it answers {found} where scikit-learn says {score}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End the server and all that it started: they share a session of their own."""
    for number, seconds in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        time.sleep(0.2)
    process.wait()


def _tail(log: Path) -> str:
    return " | ".join(log.read_text(errors="replace").splitlines()[-5:]) or "it wrote no log"
