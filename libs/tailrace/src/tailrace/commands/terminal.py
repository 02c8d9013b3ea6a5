"""What the subcommands share: the console, and how an error ends a command."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from rich.console import Console

from tailrace.stack.errors import StackError

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
