"""`tailrace status`: the parts and the models in service; exit code 1 when a part is not ready."""

import json
import shlex
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from local.errors import StackError
from local.stack.layout import Layout
from local.stack.settings import stack_settings
from tailrace.commands.terminal import out
from tailrace.predictor import PredictorPages

if TYPE_CHECKING:
    from local.stack.status import PartStatus


def status(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Show what runs and which versions answer; exit code 1 when a part is not ready."""
    from local.stack import leftovers, lifecycle
    from local.stack.status import of

    layout = stack_settings().layout
    stack = lifecycle.running(layout)
    if stack is None:
        if left := leftovers.find(layout):
            raise StackError(
                f"the supervisor is gone, and {len(left)} processes run without one: "
                "tailrace down stops them"
            )
        demo = layout.home / "demo"
        if lifecycle.running(Layout(demo)):
            raise StackError(
                f"no stack is up in {layout.home}, but that of tailrace demo --keep is:"
                f" TAILRACE_HOME={shlex.quote(str(demo))} tailrace status"
            )
        raise StackError("the stack is down: tailrace up starts it")
    parts = of(stack, layout)
    if as_json:
        out.print_json(json.dumps([_row(part) for part in parts]))
    else:
        out.print(_table(parts))
        for line in _serving(parts):
            out.print(line, markup=False, soft_wrap=True)
    if not all(part.state.good for part in parts):
        raise typer.Exit(1)


def _row(part: "PartStatus") -> dict[str, Any]:
    """A part for programs; the predictor has what it serves, as `GET /v1/models` tells it."""
    row = asdict(part)
    if part.name == "predictor" and part.state.good:
        try:
            row["serves"] = PredictorPages(part.address, timeout=2.0).ask("/v1/models")
        except StackError as error:
            row["serves"] = {"error": str(error)}
    return row


def _serving(parts: "list[PartStatus]") -> list[str]:
    predictors = [part.address for part in parts if part.name == "predictor" and part.state.good]
    try:
        return ["", *PredictorPages(predictors[0], timeout=2.0).serving()] if predictors else []
    except StackError as error:
        return ["", f"the predictor does not tell what it serves: {error}"]


def _table(parts: "list[PartStatus]") -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for title in ("part", "state"):
        table.add_column(title)
    for title in ("pid", "restarts", "uptime", "cpu", "memory"):
        table.add_column(title, justify="right")
    table.add_column("address", overflow="fold")
    for part in parts:
        colour = "green" if part.state.good else "red"
        table.add_row(
            part.name,
            f"[{colour}]{part.state}[/]",
            _shown(part.pid, "{}"),
            _shown(part.restarts, "{}"),
            "–" if part.uptime is None else _duration(part.uptime),
            _shown(part.cpu, "{:.0%}"),
            _shown(part.memory and part.memory / 2**20, "{:.0f} MiB"),
            part.address,
        )
    return table


def _shown(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {rest:02} s" if minutes else f"{rest} s"
