"""Processes for tests: free loopback ports, and a server that is killed by its pid afterwards."""

import socket
import subprocess
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path


def free_port(*above: int, taken: Collection[int] = ()) -> int:
    """A TCP port of 127.0.0.1 that nobody listens on at this moment.

    Args:
        above: Offsets of further ports that must be free as well.
        taken: Ports that are free and must not be given.
    """
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        ports = [port, *(port + offset for offset in above)]
        if not set(taken).intersection(ports) and all(map(_is_free, ports)):
            return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except (OSError, OverflowError):  # in use, or above 65535
            return False
    return True


@contextmanager
def running(
    command: Sequence[str | Path],
    *,
    log: Path,
    ready: Callable[[], bool],
    deadline: float = 20.0,
) -> Iterator[int]:
    """Run `command` while the block runs, and yield its pid once `ready()` is true.

    Args:
        command: The server's own binary, not a wrapper: the kill reaches this process alone.
        log: File that takes the output of the server.
        ready: Asked again and again; it must return soon, and false while the server is not up.
        deadline: Seconds that the server may take.

    Raises:
        RuntimeError: The server ended, or was not ready in time; its last words are in the message.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
        )
    try:
        _wait(process, ready, log, deadline)
        yield process.pid
    finally:
        # Not SIGTERM: nothing that a test leaves in a server is worth waiting for.
        process.kill()
        process.wait()


def _wait(
    process: subprocess.Popen[bytes], ready: Callable[[], bool], log: Path, deadline: float
) -> None:
    name = Path(str(process.args[0])).name if isinstance(process.args, list) else "server"
    until = time.monotonic() + deadline
    while not ready():
        if process.poll() is not None:
            raise RuntimeError(f"{name} ended with code {process.returncode}: {_tail(log)}")
        if time.monotonic() > until:
            raise RuntimeError(f"{name} was not ready within {deadline:g} s: {_tail(log)}")
        time.sleep(0.02)


def _tail(log: Path) -> str:
    return " | ".join(log.read_text(errors="replace").splitlines()[-5:]) or "it wrote no log"
