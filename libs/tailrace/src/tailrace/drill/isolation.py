"""A home and ports of the drill's own, beside whatever else runs on the machine."""

from local.errors import StackError
from local.stack import state
from local.stack.settings import StackSettings, free_ports

FOLDER = "drill"


def isolated(settings: StackSettings) -> StackSettings:
    """The settings of the stack that is to be lost.

    Raises:
        StackError: Some of its state would be a real one, kept outside of its home.
    """
    if real := state.kept_outside(settings):
        raise StackError(
            f"{', '.join(real)} would be wiped by a drill: unset"
            f" {'it' if len(real) == 1 else 'them'}, it brings up a stack of its own"
        )
    return settings.model_copy(update=free_ports() | {"tailrace_home": settings.home / FOLDER})
