"""`tailrace drill`: lose a stack, bring it back from its backup, and see that it goes on."""

import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tailrace.commands.terminal import let_sigterm_raise, out

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
    from local.stack import lifecycle
    from local.stack.settings import stack_settings
    from tailrace.commands.up import bring_up
    from tailrace.drill.isolation import isolated
    from tailrace.drill.rehearsal import Rehearsal

    let_sigterm_raise()
    logging.getLogger("servicekit.kafka").setLevel(logging.ERROR)
    settings = isolated(stack_settings())
    layout = settings.layout
    lifecycle.clear(layout)
    rehearsal = Rehearsal(settings, bring_up, _print, most_seconds)
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
            rehearsal.backup.unlink(missing_ok=True)
            lifecycle.clear(layout)
    if report:
        report.parent.mkdir(parents=True, exist_ok=True)
        report.write_text(json.dumps(outcome.document(), indent=2) + "\n")
    _verdict(outcome)


def _print(step: "Step") -> None:
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
