"""`tailrace logs`: the last lines of the parts, and what they write from now on."""

from contextlib import suppress
from typing import Annotated

import typer

from local.errors import StackError
from local.stack import logs as files
from local.stack.settings import stack_settings
from tailrace.commands.terminal import out


def logs(
    part: Annotated[str, typer.Argument(help="A part, or supervisor; none means all.")] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", help="Lines a part, first.", min=0)] = 20,
) -> None:
    """Show what the parts have written to their logs."""
    layout = stack_settings().layout
    found = {path.stem: path for path in sorted(layout.logs.glob("*.log"))}
    if part and part not in found:
        has = f"there are {', '.join(found)}" if found else "nothing was started yet"
        raise StackError(f"there is no log of {part}: {has}")
    chosen = {part: found[part]} if part else found
    for name, path in chosen.items():
        for line in files.last_lines(path, lines):
            _print(name, line, alone=bool(part))
    if not follow:
        return
    with suppress(KeyboardInterrupt):
        for name, line in files.follow(chosen):
            _print(name, line, alone=bool(part))


def _print(name: str, line: str, *, alone: bool) -> None:
    if not alone:
        out.print(f"[cyan]{name:>14}[/] ", end="")
    out.print(line, markup=False, soft_wrap=True)
