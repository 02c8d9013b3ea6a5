"""`tailrace up`: start the local stack and wait until every part is ready."""

import time
from typing import TYPE_CHECKING, Annotated

import typer

from local.errors import StackError
from local.stack.settings import StackSettings, stack_settings
from tailrace.commands.terminal import err, interruptible, out

if TYPE_CHECKING:
    from local.stack.record import Record


def up(
    only: Annotated[
        str, typer.Option(help="Start these parts only, separated by commas.", metavar="PARTS")
    ] = "",
    timeout: Annotated[
        float, typer.Option(help="Seconds that all parts together may take.", min=1)
    ] = 180.0,
) -> None:
    """Start the local stack, and wait until every part is ready."""
    settings = stack_settings()
    names = tuple(name.strip() for name in only.split(",") if name.strip())
    bring_up(settings, names, timeout)


def bring_up(
    settings: StackSettings, only: tuple[str, ...] = (), timeout: float = 180.0
) -> "Record":
    """Start the stack with a line of progress a part, or print that it is up.

    Raises:
        StackError: A part did not get ready, or somebody pressed Ctrl-C; what had been started was
            stopped again.
    """
    from local.stack import leftovers, lifecycle, preflight
    from local.stack.plan import plan

    layout = settings.layout
    stack = plan(settings, only)
    with lifecycle.locked(layout):
        if known := lifecycle.running(layout):
            out.print("The stack is already up (tailrace status shows it, tailrace down stops it).")
            _addresses(known)
            return known
        if names := leftovers.stop(layout):
            out.print(f"Stopped what an earlier stack had left running: {', '.join(names)}")
        preflight.check(stack)
        lifecycle.prepare(stack, layout, settings, out.print)
        out.print(f"Starting {len(stack.parts)} parts; logs are in {layout.logs}", soft_wrap=True)
        with interruptible() as stop:
            begin = time.monotonic()
            started = lifecycle.launch(stack, layout)
            try:
                for part, seconds in lifecycle.wait_until_ready(
                    started, layout, begin=begin, deadline=timeout, stop=stop
                ):
                    where = part.endpoint.shown
                    out.print(f"  [green]✓[/] {part.name:<14} {seconds:5.1f} s  {where}")
            except BaseException:
                err.print("Stopping the parts that were started …")
                try:
                    lifecycle.take_down(layout)
                except StackError as error:  # what came first is what has to be mended
                    err.print(f"[red]✗[/] {error}")
                raise
        _addresses(started)
        return started


def _addresses(record: "Record") -> None:
    from local.endpoint import Protocol

    for part in record.parts:
        if part.endpoint.protocol is Protocol.HTTP:
            out.print(f"  {part.name:<14} {part.endpoint.shown}")
