"""`tailrace restore`: the state of a backup into a home that has none."""

from pathlib import Path
from typing import Annotated

import typer

from local.errors import StackError
from local.stack.manifest import Manifest
from local.stack.settings import StackSettings, stack_settings
from tailrace.commands.progress import mebibytes, progress
from tailrace.commands.terminal import out


def restore(
    file: Annotated[
        Path, typer.Argument(help="What tailrace backup wrote.", metavar="FILE.tar.gz")
    ],
) -> None:
    """Put a backup in place, once all of it is found whole; there must be no state yet."""
    from local.stack import leftovers, lifecycle, unpack

    settings = stack_settings()
    layout = settings.layout
    archive = file.expanduser().absolute()
    if not archive.is_file():
        raise StackError(f"there is no file {archive}")
    with lifecycle.locked(layout):
        if lifecycle.running(layout) or leftovers.find(layout):
            raise StackError(
                "the stack is up: stop it with tailrace down, and remove what it has stored "
                "with tailrace down --wipe"
            )
        with progress("Reading", None) as advance:
            backup = unpack.restore(archive, layout, progress=advance)
    for line in _lines(backup, settings):
        out.print(line, markup=False, soft_wrap=True)


def _lines(backup: Manifest, settings: StackSettings) -> list[str]:
    from local.stack import manifest, state

    here = manifest.installed()
    lines = [
        f"{len(backup.files)} files, {mebibytes(backup.size)}, of"
        f" {backup.made_at:%Y-%m-%d %H:%M:%S} UTC are in {settings.home}."
    ]
    lines += [
        f"Not in the backup: {what}, which {variable} put elsewhere."
        for variable, what in backup.left_out.items()
    ]
    lines += [
        f"{variable} is set: {what} of the backup will not be used."
        for variable, what in state.kept_outside(settings).items()
        if variable not in backup.left_out
    ]
    lines += [
        f"{name} was {then} and is {here.get(name, 'missing')} now."
        for name, then in backup.versions.items()
        if here.get(name) != then
    ]
    if backup.home != str(settings.home):
        lines.append(f"It lay in {backup.home}: links to drift reports in old events lead there.")
    return [*lines, "Start it with tailrace up."]
