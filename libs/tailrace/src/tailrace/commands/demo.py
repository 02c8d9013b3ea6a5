"""`tailrace demo`: a year of flights, and a model that stays good by itself."""

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tailrace.commands.terminal import err, errors_end_the_command, out

if TYPE_CHECKING:
    from local.stack.settings import StackSettings
    from tailrace.demo.options import DemoOptions


def demo(
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
    """Replay the flights of 2013 and watch the loop turn."""
    from local.stack.settings import stack_settings
    from tailrace.demo.options import DemoOptions, OptionsError

    begun = time.monotonic()
    # Told to stop by whatever means, it takes the stack down with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        options = DemoOptions(
            start=start.replace(tzinfo=UTC),
            end=end.replace(tzinfo=UTC),
            speed=speed,
            seed=seed,
            report=report,
            sabotage=sabotage,
            keep=keep,
        )
    except OptionsError as error:
        err.print(f"[red]✗[/] {error}")
        raise typer.Exit(2) from None
    with errors_end_the_command():
        settings = stack_settings()
        settings = settings.model_copy(update={"tailrace_home": settings.home / "demo"})
        with _stack(settings, keep=keep) as where:
            report_data = _play(where, settings.home / "logs", options, begun)
    _finish(report_data, options)


@contextlib.contextmanager
def _stack(settings: "StackSettings", *, keep: bool) -> Iterator[dict[str, str]]:
    """A fresh stack, taken down at the end: the demo counts from nothing.

    Yields:
        The address of each part, by name.
    """
    from local.stack import local
    from local.stack.layout import Layout
    from tailrace.commands.up import bring_up

    layout = Layout(settings.home)
    with local.only_one(layout):
        if local.running(layout):
            local.take_down(layout)
    local.wipe(layout)
    record = bring_up(settings)
    try:
        where = {part.name: part.endpoint.address for part in record.parts}
        yield where | {
            "kafka": settings.kafka_bootstrap_servers or ",".join(settings.kafka_addresses)
        }
    finally:
        if keep:
            out.print(
                f"The stack is still up. Stop it: TAILRACE_HOME={layout.home} tailrace down",
                soft_wrap=True,
            )
        else:
            out.print("Stopping the stack …")
            local.take_down(layout)


def _play(
    where: dict[str, str], logs: Path, options: "DemoOptions", begun: float
) -> dict[str, Any]:
    # Its bars would be drawn through the picture.
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    from local.stack.errors import StackError
    from local.stack.settings import stack_settings
    from servicekit.kafka import BUSES
    from tailrace.demo import report as reports
    from tailrace.demo.flights import load
    from tailrace.demo.options import RUN_OUT
    from tailrace.demo.play import DemoError, Doors, Play

    flights = load(end=options.end + RUN_OUT)
    play = Play(
        options,
        flights,
        Doors(where["predictor"], where["ingest"], where["mlflow"]),
        BUSES[stack_settings().broker_kind](where["kafka"]),
        out,
        begun,
    )
    try:
        totals = asyncio.run(play.run())
    except DemoError as error:
        raise StackError(f"{error}; the logs are in {logs}") from error
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
