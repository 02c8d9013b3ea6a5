"""Takes the port of a service, for one process or for several that share it."""

import socket
import sys

from servicekit.exits import EXIT_UNUSABLE

BACKLOG = 2048


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        SystemExit: with code 2, after a line that says what to do: the port cannot be taken.
    """
    listener = _bind(host, port)
    listener.listen(BACKLOG)
    return listener


def reserve(host: str, port: int, setting: str = "HTTP_PORT") -> socket.socket:
    """Return a socket that keeps a port for the workers of this process, and does not listen.

    Args:
        host: To listen on.
        port: 0 takes a free one.
        setting: Of the port, which is named when it cannot be taken.

    Raises:
        SystemExit: as `listen`.
    """
    # A port is shared only if all ask for it, so this finds who listens there by mistake.
    with _bind(host, port, setting) as probe:
        port = probe.getsockname()[1]
    return _bind(host, port, setting, shared=True)


def share(reserved: socket.socket) -> socket.socket:
    """Return a socket on a reserved port for one of those that share it; it does not listen yet.

    The kernel gives each connection to one of those that listen, by a hash. One socket that all
    inherit would be simpler, and unfair: the process that wakes first takes every connection that
    waits, and keep-alive makes that last.
    """
    host, port = reserved.getsockname()[:2]
    return _bind(host, port, shared=True)


def _bind(
    host: str, port: int, setting: str = "HTTP_PORT", *, shared: bool = False
) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        print(  # noqa: T201 - for the person who started it
            f"HTTP_HOST={host} {setting}={port}: cannot listen there ({error.strerror});"
            f" stop what listens on it, or set {setting} to a free port",
            file=sys.stderr,
        )
        sys.exit(EXIT_UNUSABLE)
    return bound
