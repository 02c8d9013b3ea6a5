"""What must hold before anything is started: commands exist, ports are free, the others answer."""

import socket
from pathlib import Path

import psutil

from local.errors import StackError
from local.servers.server import Server
from local.stack.plan import EXTERNAL, Stack


def check(stack: Stack) -> None:
    """Look at everything first, so that one run of `up` reports all that is wrong.

    Raises:
        StackError: One line for each thing that is wrong, with the remedy.
    """
    if not stack.parts:
        raise StackError("there is nothing to start: all that was asked for runs elsewhere")
    wrong = [
        *(line for part in stack.parts if (line := _missing(part))),
        *(line for part in stack.parts if (line := _taken(part))),
        *(
            f"{name} at {endpoint.shown} does not answer: start it, or unset {EXTERNAL[name]} to "
            "have a local one"
            for name, endpoint in stack.external.items()
            if not endpoint.ready()
        ),
    ]
    if wrong:
        raise StackError("\n".join(wrong))


def _missing(part: Server) -> str | None:
    if Path(part.command[0]).is_file():
        return None
    return (
        f"{part.name} needs the command {Path(part.command[0]).name}, which is not installed in "
        f"{Path(part.command[0]).parent}: run make setup, or leave the part out with --only"
    )


def _taken(part: Server) -> str | None:
    family, _, _, _, address = socket.getaddrinfo(part.host, part.port, type=socket.SOCK_STREAM)[0]
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # Servers set it too; without it a port that was in use a minute ago would look taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(address)
        except OSError as error:
            return (
                f"{part.name} cannot listen on {part.host}:{part.port} "
                f"({error.strerror}{_holder(part.port)}): free it, or choose another port with "
                f"{part.port_variable}"
            )
    return None


def _holder(port: int) -> str:
    """Who listens on a port, as far as the system tells us."""
    try:
        found = [
            connection.pid
            for connection in psutil.net_connections("tcp")
            if connection.status == psutil.CONN_LISTEN
            and connection.laddr
            and connection.laddr.port == port
            and connection.pid
        ]
        return f" by {psutil.Process(found[0]).name()}, pid {found[0]}" if found else ""
    except psutil.Error:
        return ""
