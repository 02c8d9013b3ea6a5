"""A home and ports of the drill's own, beside whatever else runs on the machine."""

import socket

from local.stack import state
from local.stack.errors import StackError
from local.stack.settings import StackSettings

FOLDER = "drill"
NEIGHBOURS = (0, 1, 2, 10, 11, 12)
"""Apache Kafka's nodes and controllers have the ports that follow the first."""
TRIES = 100


def own(settings: StackSettings) -> StackSettings:
    """The settings of the stack that is to be lost.

    Raises:
        StackError: Some of its state would be a real one, kept elsewhere.
    """
    if real := state.elsewhere(settings):
        raise StackError(
            f"{', '.join(real)} would be wiped by a drill: unset"
            f" {'it' if len(real) == 1 else 'them'}, it brings up a stack of its own"
        )
    taken: set[int] = set()
    ports: dict[str, int] = {}
    for name in sorted(n for n in StackSettings.model_fields if n.endswith("_port")):
        needed = NEIGHBOURS if name == "kafka_port" else (0,)
        ports[name] = _free(needed, taken)
        taken |= {ports[name] + offset for offset in needed}
    return settings.model_copy(update=ports | {"tailrace_home": settings.home / FOLDER})


def _free(offsets: tuple[int, ...], taken: set[int]) -> int:
    """A port with free neighbours at these offsets."""
    for _ in range(TRIES):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            first: int = probe.getsockname()[1]
        wanted = [first + offset for offset in offsets]
        if not taken.intersection(wanted) and all(_is_free(port) for port in wanted):
            return first
    raise StackError("no free ports were found on 127.0.0.1")


def _is_free(port: int) -> bool:
    if port > 65535:
        return False
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
