"""What the subcommands share: the console, and how an error ends a command."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import typer
from rich.console import Console
from typer.core import TyperGroup

from local.errors import StackError

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

OURS = ("event_schemas", "local", "servicekit", "tailrace")
"""Packages that every installation of the command has: a missing module of theirs is our fault."""


class Commands(TyperGroup):
    """Subcommands that end with a line and code 1 when they raise StackError, or lack a package."""

    def invoke(self, ctx: Any) -> Any:
        """Run the subcommand that was given."""
        try:
            return super().invoke(ctx)
        except StackError as error:
            fail(str(error))
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            if package in OURS:
                raise
            fail(
                f"{ctx.command_path} {ctx.invoked_subcommand} needs the package {package}, which is"
                " not installed here: tailrace[local] brings what a stack needs, and"
                " tailrace[demo] what demo and drill need"
            )


def fail(text: str, code: int = 1) -> NoReturn:
    """Print what is wrong, and end the command."""
    err.print("[red]✗[/]", end=" ")
    err.print(text, markup=False, soft_wrap=True)
    raise typer.Exit(code) from None


def let_sigterm_raise() -> None:
    """Raise KeyboardInterrupt at SIGTERM too, so that a command takes its stack down with it."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Yield a function that says whether Ctrl-C or SIGTERM has come while the block runs.

    Raised as an exception, it could come up inside a library that drops it, and the command would
    go on.
    """
    stopped = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: stopped.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield stopped.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
