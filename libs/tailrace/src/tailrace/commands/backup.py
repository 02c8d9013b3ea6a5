"""`tailrace backup`: all state of the local stack in one file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from local.errors import StackError
from local.stack.layout import Layout
from local.stack.manifest import Manifest
from local.stack.settings import StackSettings, stack_settings
from tailrace.commands.progress import mebibytes, progress
from tailrace.commands.terminal import out


def backup(
    file: Annotated[
        Path, typer.Argument(help="The archive to write.", metavar="FILE.tar.gz", dir_okay=False)
    ],
    stop: Annotated[
        bool, typer.Option("--stop", help="Stop the stack for it, and start it again afterwards.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace FILE if it is there.")] = False,
) -> None:
    """Write topics, online features, registry, lake and reports into one archive.

    The stack must be down: the broker writes its data on the way out.
    """
    settings = stack_settings()
    layout = settings.layout
    target = file.expanduser().absolute()
    _require_usable(target, layout, force=force)
    with _down(settings, allowed=stop):
        contents = _write(settings, target)
        size = mebibytes(target.stat().st_size)
        out.print(
            f"{len(contents.files)} files, {mebibytes(contents.size)}, are in {target} ({size}).",
            markup=False,
            soft_wrap=True,
        )
        for variable, what in contents.left_out.items():
            out.print(f"Not in it: {what}, which {variable} puts elsewhere.", markup=False)


def _require_usable(target: Path, layout: Layout, *, force: bool) -> None:
    if not layout.home.exists():
        raise StackError(f"there is no stack in {layout.home}: nothing to back up")
    if not target.parent.is_dir():
        raise StackError(f"{target.parent} is no folder: make it first")
    if any(target.is_relative_to(owned) for owned in layout.owned):
        raise StackError(
            f"{target} lies where tailrace down --wipe removes it: choose another place"
        )
    if target.exists() and not force:
        raise StackError(f"{target} is there already: choose another name, or give --force")


@contextmanager
def _down(settings: StackSettings, *, allowed: bool) -> Iterator[None]:
    """Keep the stack down during the block, and start again what ran before.

    Raises:
        StackError: It is up, and to stop it was not allowed.
    """
    from local.stack import leftovers, lifecycle
    from tailrace.commands.up import bring_up

    layout = settings.layout
    again: tuple[str, ...] | None = None
    try:
        with lifecycle.locked(layout):
            known = lifecycle.running(layout)
            if known or leftovers.find(layout):
                if not allowed:
                    raise StackError(
                        "the stack is up, and what it holds in memory would be missing: "
                        "tailrace down first, or give --stop"
                    )
                out.print("Stopping the stack …")
                again = tuple(part.name for part in known.parts) if known else None
                lifecycle.take_down(layout)
            yield
    finally:
        if again:
            bring_up(settings, again)


def _write(settings: StackSettings, target: Path) -> Manifest:
    from local.stack import archive, state

    layout = settings.layout
    total = sum(path.stat().st_size for path in state.files(layout))
    with progress("Writing", total) as advance:
        return archive.write(
            layout, target, left_out=state.kept_outside(settings), progress=advance
        )
