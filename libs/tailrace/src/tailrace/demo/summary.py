"""The end of the demo, in the terminal."""

from typing import Any

from rich.console import Console
from rich.table import Table


def show(report: dict[str, Any], console: Console) -> None:
    """Print what happened, month by month, and which promises were kept."""
    console.print()
    console.print(_months(report))
    console.print(_rollouts(report))
    for version in report["sabotaged_versions"]:
        console.print(
            f"Version {version} was sabotaged on purpose: approved by hand, past the gate."
        )
    console.print(
        f"{report['predictions_requested']:,} predictions in {report['replay_seconds']:.0f} s"
        f" ({report['requests_per_second']:,.0f}/s), {report['http_errors']} HTTP errors,"
        f" {report['labels_joined']:,} of {report['labels_sent']:,} labels joined."
    )
    for promise, kept in report["checks"].items():
        console.print(f"  {'[green]✓[/]' if kept else '[red]✗[/]'} {promise}")


def _months(report: dict[str, Any]) -> Table:
    table = Table(title="Realised quality by month", title_justify="left")
    for column in ("month", "labels", "late", "log-loss", "v1 alone", "AUC", "v1 alone"):
        table.add_column(column, justify="left" if column == "month" else "right")
    for month in report["months"]:
        ours, static = month["platform"], month["static"]
        table.add_row(
            month["start"][:7],
            f"{ours['n']:,}",
            _number(month["base_rate"], ".1%"),
            _number(ours["log_loss"], ".4f"),
            _number(static["log_loss"], ".4f"),
            _number(ours["auc"], ".4f"),
            _number(static["auc"], ".4f"),
        )
    return table


def _rollouts(report: dict[str, Any]) -> Table:
    table = Table(title="Rollouts", title_justify="left")
    for column in ("until", "challenger", "outcome", "why"):
        table.add_column(column)
    for rollout in report["rollouts"]:
        last = rollout["steps"][-1]
        version = rollout["challenger"] or rollout["champion"]
        table.add_row(
            (last["event_time"] or "")[:10],
            f"{version} (sabotaged)" if rollout["sabotaged"] else version,
            rollout["outcome"],
            last["reason"],
        )
    return table


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)
