"""A real Valkey for tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local.process import free_port, running
from local.servers import valkey


@contextmanager
def embedded_valkey(folder: Path, port: int | None = None) -> Iterator[str]:
    """Run a Valkey server that keeps nothing on disk, and yield its redis:// URL.

    Raises:
        RuntimeError: The server did not answer in time, for example because the port is taken.
    """
    server = valkey.server(folder, port or free_port(), durable=False)
    with running(server.command, log=folder / "valkey.log", ready=server.endpoint.ready):
        yield server.endpoint.address
