"""`tailrace watch`: follow a rollout to its end, for pipelines and for people."""

import time
from typing import Annotated

import typer

from local.errors import StackError
from tailrace.commands.terminal import interruptible, out
from tailrace.predictor import PredictorPages, Routing

ROLLED_BACK = 1
TIMED_OUT = 3


def watch(
    url: Annotated[str, typer.Option(help="The predictor, e.g. https://models.example.org.")],
    model: Annotated[str, typer.Option(help="The model whose rollout is followed.")],
    timeout: Annotated[float, typer.Option(help="Seconds to follow it at most.", min=1)] = 3600.0,
    every: Annotated[float, typer.Option(help="Seconds between two looks.", min=0.1)] = 2.0,
    patience: Annotated[
        float, typer.Option(help="Seconds for which the predictor may be away.", min=0)
    ] = 60.0,
) -> None:
    """Follow a rollout until one version serves alone, with a line a step.

    The exit code is 0 when the challenger was promoted, or when there was none; 1 when it was
    rolled back; 3 when the time was over before either.
    """
    with interruptible() as stop:
        pages = PredictorPages(url)
        trial: str | None = None
        before: Routing | None = None
        begin = seen = time.monotonic()
        while not stop():
            now = time.monotonic()
            try:
                routing = pages.routing(model)
                seen = now
            except StackError:
                if now - seen > patience:
                    raise
                routing = before
            if routing is None and now == seen:
                raise StackError(f"{url} does not serve {model}")
            if routing is not None:
                if routing != before:
                    out.print(f"{time.strftime('%H:%M:%S')}  {routing}", soft_wrap=True)
                    before = routing
                if routing.challenger is None:
                    _end(routing, trial)
                trial = routing.challenger
            if now - begin > timeout:
                out.print(f"not over after {timeout:g} s")
                raise typer.Exit(TIMED_OUT)
            time.sleep(min(every, max(0.0, begin + timeout - now) + 0.01))


def _end(routing: Routing, trial: str | None) -> None:
    """One version serves alone: end with what became of the one on trial."""
    if trial is not None and trial != routing.champion:
        out.print(f"[red]✗[/] version {trial} was rolled back")
        raise typer.Exit(ROLLED_BACK)
    what = "was promoted" if trial else "serves alone, and nothing is on trial"
    out.print(f"[green]✓[/] version {routing.champion} {what}")
    raise typer.Exit(0)
