"""`tailrace restore`: the state of a backup into a home that has none."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from local.stack.errors import StackError
from local.stack.layout import Layout
from local.stack.settings import StackSettings, stack_settings
from tailrace.commands.terminal import errors_end_the_command, out
from tailrace.commands.transfer import mebibytes, progress

if TYPE_CHECKING:
    from local.stack.manifest import Manifest


def restore(
    file: Annotated[
        Path, typer.Argument(help="What tailrace backup wrote.", metavar="FILE.tar.gz")
    ],
) -> None:
    """Put a backup in place, once all of it is found whole; there must be no state yet."""
    with errors_end_the_command():
        from local.stack import leftovers, local, unpack

        settings = stack_settings()
        layout = Layout(settings.home)
        archive = file.expanduser().absolute()
        if not archive.is_file():
            raise StackError(f"there is no file {archive}")
        with local.only_one(layout):
            if local.running(layout) or leftovers.find(layout):
                raise StackError(
                    "the stack is up: stop it with tailrace down, and remove what it has stored "
                    "with tailrace down --wipe"
                )
            with progress("Reading", None) as advance:
                told = unpack.restore(archive, layout, progress=advance)
    for line in _lines(told, settings):
        out.print(line, markup=False, soft_wrap=True)


def _lines(told: "Manifest", settings: StackSettings) -> list[str]:
    from local.stack import manifest, state

    here = manifest.installed()
    lines = [
        f"{len(told.files)} files, {mebibytes(told.size)}, of {told.made_at:%Y-%m-%d %H:%M:%S} UTC"
        f" are in {settings.home}."
    ]
    lines += [
        f"Not in the backup: {what}, which {variable} put elsewhere."
        for variable, what in told.left_out.items()
    ]
    lines += [
        f"{variable} is set: {what} of the backup will not be used."
        for variable, what in state.elsewhere(settings).items()
        if variable not in told.left_out
    ]
    lines += [
        f"{name} was {then} and is {here.get(name, 'missing')} now."
        for name, then in told.versions.items()
        if here.get(name) != then
    ]
    if told.home != str(settings.home):
        lines.append(f"It lay in {told.home}: links to drift reports in old events lead there.")
    return [*lines, "Start it with tailrace up."]
