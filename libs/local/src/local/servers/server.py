"""A server is a process that answers at an endpoint."""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntEnum
from importlib.util import find_spec
from pathlib import Path

from local.endpoint import Endpoint
from local.errors import ServerError

LOOPBACK = "127.0.0.1"


class Stage(IntEnum):
    """The order in which servers stop: services first, while broker and stores still answer."""

    SERVICE = 0
    STORE = 1
    BROKER = 2


@dataclass(frozen=True)
class Server:
    """What a supervisor or a test needs to run a server.

    Attributes:
        port_variable: The environment variable that moves it to another port.
        stop_children: Whether its child processes get the SIGTERM as well.
        grace: Seconds from SIGTERM to SIGKILL.
        prepare: Does what takes seconds and is needed once, such as to fetch the server.
    """

    name: str
    command: tuple[str, ...]
    port: int
    port_variable: str
    endpoint: Endpoint
    stage: Stage
    host: str = LOOPBACK
    environment: dict[str, str] = field(default_factory=dict)
    stop_children: bool = False
    grace: float = 20.0
    prepare: Callable[[], None] | None = None


def package(module: str, server: str) -> Path:
    """The folder of a Python package that holds a server.

    Raises:
        ServerError: It is not installed.
    """
    spec = find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise ServerError(
            f"{server} needs the Python package {module.replace('_', '-')}, which is not installed:"
            " install tailrace[local] (in a checkout: make setup)"
        )
    return Path(spec.submodule_search_locations[0])


def executable(binary: Path) -> str:
    """The path of a binary, whose permission to run may have been lost by an installer."""
    if not os.access(binary, os.X_OK):
        binary.chmod(0o755)
    return str(binary)
