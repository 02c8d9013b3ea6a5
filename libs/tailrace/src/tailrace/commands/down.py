"""`tailrace down`: stop the local stack, and remove its state when asked to."""

from typing import Annotated

import typer

from local.stack.settings import stack_settings
from tailrace.commands.terminal import out


def down(
    wipe: Annotated[
        bool, typer.Option("--wipe", help="Remove events, models, lake and logs as well.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before a wipe.")] = False,
) -> None:
    """Stop the local stack; what it has stored stays unless --wipe is given."""
    from local.stack import lifecycle

    layout = stack_settings().layout
    if not layout.home.exists():
        out.print("The stack is down, and has stored nothing.")
        return
    if wipe and not yes:
        typer.confirm(f"Remove all that is stored in {layout.home}?", abort=True)
    with lifecycle.locked(layout):
        stopped = lifecycle.take_down(layout)
        out.print(f"Stopped {', '.join(stopped)}." if stopped else "The stack was down.")
        if wipe:
            lifecycle.wipe(layout)
            out.print(f"Removed {layout.home}", soft_wrap=True)
