"""What the subcommands share: the console, and how an error ends a command."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from local.stack.errors import StackError

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)


@contextmanager
def errors_end_the_command() -> Iterator[None]:
    """Print a StackError without a traceback and exit with code 1."""
    try:
        yield
    except StackError as error:
        err.print("[red]✗[/]", end=" ")
        err.print(str(error), markup=False, soft_wrap=True)
        raise typer.Exit(1) from None


@contextmanager
def told_to_stop() -> Iterator[Callable[[], bool]]:
    """Take note of Ctrl-C and SIGTERM while the block runs, and yield whether one has come.

    Raised as an exception, it could come up inside a library that drops it, and the command would
    go on.
    """
    told = threading.Event()
    before = {
        number: signal.signal(number, lambda *_: told.set())
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield told.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
