"""The `tailrace` command: one module a subcommand, under `tailrace.commands`."""

import typer

from tailrace.commands import (
    backup,
    dead,
    demo,
    down,
    drill,
    events,
    logs,
    restore,
    retrain,
    score,
    smoke,
    status,
    topics,
    up,
    watch,
)
from tailrace.commands.terminal import Commands

app = typer.Typer(
    cls=Commands,
    help="Run the stack, watch the loop, replay the demo.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (
    *(up.up, down.down, status.status, logs.logs, backup.backup, restore.restore, drill.drill),
    *(demo.demo, retrain.retrain),
):
    app.command()(command)
app.command(context_settings=score.PASSED_ON)(score.score)
app.command()(smoke.smoke)
app.command()(watch.watch)
app.add_typer(events.app, name="events")
app.add_typer(dead.app, name="dead")
app.add_typer(topics.app, name="topics")


def main() -> None:
    """Entry point of the console script."""
    app()
