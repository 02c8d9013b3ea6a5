"""`tailrace demo`: a year of flights, and a model that stays good by itself."""

import asyncio
import contextlib
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from local.errors import StackError
from tailrace.commands.terminal import fail, let_sigterm_raise, out

if TYPE_CHECKING:
    from local.stack.settings import StackSettings
    from tailrace.demo.options import DemoOptions


def demo(
    model: Annotated[
        list[str] | None,
        typer.Option(
            help="Replay the cases that demo.py brings beside a model's dataset, of as many models"
            " at once as are named; of the other options, --speed, --report and --keep count then."
        ),
    ] = None,
    start: Annotated[
        datetime,
        typer.Option(
            "--from", formats=["%Y-%m-%d"], help="First day replayed; before it is history."
        ),
    ] = datetime(2013, 2, 1),  # noqa: DTZ001 - Typer reads the default; UTC is set below
    end: Annotated[
        datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="Day after the last one counted.")
    ] = datetime(2013, 5, 20),  # noqa: DTZ001
    speed: Annotated[
        float, typer.Option(help="Days of event time a second, at most.", min=0.001)
    ] = 5.0,
    seed: Annotated[
        int, typer.Option(help="Seed of the order in which flights of one hour ask.")
    ] = 0,
    report: Annotated[
        Path, typer.Option(help="Folder for report.json and the plots.", file_okay=False)
    ] = Path("report"),
    sabotage: Annotated[
        bool, typer.Option(help="Let somebody approve a broken model half-way.")
    ] = True,
    keep: Annotated[bool, typer.Option(help="Leave the stack up afterwards.")] = False,
) -> None:
    """Replay the flights of 2013, or the cases of other models, and watch the loop turn."""
    from local.stack.settings import stack_settings
    from tailrace.demo.options import DemoOptions, OptionsError

    if model:
        _demo_of_models(model, speed, report, keep=keep)
        return
    begun = time.monotonic()
    try:
        options = DemoOptions(
            start.replace(tzinfo=UTC), end.replace(tzinfo=UTC), speed, seed, report, sabotage
        )
    except OptionsError as error:
        fail(str(error), 2)
    let_sigterm_raise()
    settings = stack_settings()
    settings = settings.model_copy(update={"tailrace_home": settings.home / "demo"})
    with _stack(settings, keep=keep) as addresses:
        report_data = _play(settings, addresses, options, begun)
    _finish(report_data, options)


def _demo_of_models(names: list[str], speed: float, folder: Path, *, keep: bool) -> None:
    from uuid import uuid4

    from local.stack.settings import stack_settings
    from tailrace.bus import stack_bus
    from tailrace.cases import report as reports
    from tailrace.cases.play import Play
    from tailrace.cases.story import Story
    from tailrace.cases.table import CasesError, ModelCases
    from tailrace.traffic.waiting import RunError

    let_sigterm_raise()
    settings = stack_settings()
    run = f"demo-{uuid4().hex[:8]}"
    try:
        cases = [ModelCases(settings.models_dir / name, run) for name in names]
    except CasesError as error:
        fail(str(error), 2)
    settings = settings.model_copy(update={"tailrace_home": settings.home / "demo"})
    with _stack(settings, keep=keep) as addresses:
        bus = stack_bus(settings)
        play = Play(cases, bus, addresses, out, Story(run), speed=speed)
        try:
            asyncio.run(play.run())
        except RunError as error:
            raise StackError(f"{error}; the logs are in {settings.layout.logs}") from error
        found = reports.build(play)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(found, indent=2) + "\n")
    reports.write_plot(found, folder / "loss.png")
    for check, passed in found["checks"].items():
        out.print(f"  {'[green]✓' if passed else '[red]✗'}[/] {check}")
    out.print(f"Report: {folder}/report.json, {folder}/loss.png")
    if not all(found["checks"].values()):
        raise typer.Exit(1)


@contextlib.contextmanager
def _stack(settings: "StackSettings", *, keep: bool) -> Iterator[dict[str, str]]:
    """Yield the addresses of a fresh stack, for the demo counts from nothing; end with it down."""
    from local.stack import lifecycle
    from tailrace.commands.up import bring_up

    layout = settings.layout
    lifecycle.clear(layout)
    record = bring_up(settings)
    try:
        yield record.addresses
    finally:
        if keep:
            out.print(
                f"The stack is still up. Stop it: TAILRACE_HOME={layout.home} tailrace down",
                soft_wrap=True,
            )
        else:
            out.print("Stopping the stack …")
            lifecycle.take_down(layout)


def _play(
    settings: "StackSettings", addresses: dict[str, str], options: "DemoOptions", begun: float
) -> dict[str, Any]:
    from tailrace.bus import stack_bus
    from tailrace.demo import report as reports
    from tailrace.demo.options import RUN_OUT
    from tailrace.demo.play import Play
    from tailrace.flights.dataset import load
    from tailrace.traffic.waiting import RunError

    flights = load(end=options.end + RUN_OUT)
    play = Play(options, flights, addresses, stack_bus(settings), out, begun)
    try:
        totals = asyncio.run(play.run())
    except RunError as error:
        raise StackError(f"{error}; the logs are in {settings.layout.logs}") from error
    return reports.build(play.journal, options, totals)


def _finish(report: dict[str, Any], options: "DemoOptions") -> None:
    from tailrace.demo import plot, summary

    folder = options.report
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    plot.write_png(report, folder / "log_loss.png")
    plot.write_html(report, folder / "log_loss.html")
    summary.show(report, out)
    out.print(f"Report: {folder}/report.json, {folder}/log_loss.png, {folder}/log_loss.html")
    if not all(report["checks"].values()):
        raise typer.Exit(1)
