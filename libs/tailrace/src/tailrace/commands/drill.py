"""`tailrace drill`: lose a stack, bring it back from its backup, and see that it goes on."""

import json
import logging
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tailrace.commands.terminal import errors_end_the_command, out

if TYPE_CHECKING:
    from tailrace.drill.rehearsal import Outcome, Step


def drill(
    most_seconds: Annotated[
        float, typer.Option("--rto", help="Seconds from the loss to the first answer.", min=1)
    ] = 120.0,
    report: Annotated[
        Path | None,
        typer.Option(help="JSON file for steps, times and checks.", dir_okay=False),
    ] = None,
    keep: Annotated[
        bool, typer.Option(help="Leave the stack up and its backup in place afterwards.")
    ] = False,
) -> None:
    """Rehearse a disaster: a stack of its own with traffic is wiped, restored, and goes on.

    It takes about a minute and a half, and touches no other stack. The exit code is 0 when every
    promise was kept, and 1 with the reason when one was not.
    """
    with errors_end_the_command():
        from local.stack import local
        from local.stack.layout import Layout
        from local.stack.settings import stack_settings
        from tailrace.commands.up import bring_up
        from tailrace.drill import place
        from tailrace.drill.rehearsal import Rehearsal

        # Told to stop by whatever means, it takes the stack down with it.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        # Bars of downloads would be drawn through the lines.
        os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
        logging.getLogger("servicekit.kafka").setLevel(logging.ERROR)
        settings = place.own(stack_settings())
        layout = Layout(settings.home)
        with local.only_one(layout):
            if local.running(layout):
                local.take_down(layout)
        local.wipe(layout)
        rehearsal = Rehearsal(settings, bring_up, _tell, most_seconds)
        try:
            outcome = rehearsal.run()
        finally:
            if keep:
                out.print(
                    f"The stack is left as it is. Stop it: TAILRACE_HOME={layout.home} tailrace"
                    f" down --wipe. Its backup: {rehearsal.backup}",
                    soft_wrap=True,
                )
            else:
                with local.only_one(layout):
                    local.take_down(layout)
                rehearsal.backup.unlink(missing_ok=True)
                local.wipe(layout)
    if report:
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(json.dumps(outcome.document(), indent=2) + "\n")
    _verdict(outcome)


def _tell(step: "Step") -> None:
    out.print(f"[bold]{step.seconds:6.1f} s[/]  {step.name}", end="", soft_wrap=True)
    out.print(f" ({step.note})" if step.note else "", markup=False)


def _verdict(outcome: "Outcome") -> None:
    out.print()
    for check in outcome.checks:
        out.print("[green]✓[/]" if check.kept else "[red]✗[/]", end=" ")
        out.print(f"{check.promise}: {check.seen}", markup=False, soft_wrap=True)
    broken = sum(not check.kept for check in outcome.checks)
    if broken:
        out.print(f"[red]The drill failed: {broken} of {len(outcome.checks)} promises broken.[/]")
        raise typer.Exit(1)
    out.print(
        f"[green]The drill passed.[/] Recovery took {outcome.recovery_seconds:.1f} s,"
        " and nothing was lost."
    )
