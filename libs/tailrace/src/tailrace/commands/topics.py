"""`tailrace topics`: the topics as the contracts want them, and as they are."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from local.errors import StackError
from tailrace.commands.terminal import out

if TYPE_CHECKING:
    from servicekit.kafka.topic_layout import TopicLayout
    from tailrace.topics.admin import TopicAdmin
    from tailrace.topics.plan import Change

MARKS = {
    "create": "[green]+ create[/]",
    "grow": "[green]+ grow[/]",
    "configure": "[yellow]~ configure[/]",
    "refuse": "[red]✗ refuse[/]",
    "note": "[blue]· note[/]",
}

app = typer.Typer(help="Topics as code: list, plan, apply.", no_args_is_help=True)
Partitions = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=256,
        help="Of the topics that carry records, predictions and labels; default: KAFKA_PARTITIONS.",
    ),
]
Replication = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=15,
        help="Copies of a topic; default: KAFKA_REPLICATION, or what the brokers make.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


@app.command("list")
def list_topics(as_json: AsJson = False) -> None:
    """List the topics of the contracts: what lies in them, and how they are kept here."""
    from event_schemas.topics import all_topics

    topics = all_topics()
    with _cluster() as (admin, _):
        found = admin.found(topic.name for topic in topics)
    if as_json:
        for topic in topics:
            present = found.get(topic.name)
            row = {
                "topic": topic.name,
                "kind": topic.kind,
                "partitions": present and present.partitions,
                "copies": present and present.copies,
                "config": present and {name: present.config.get(name) for name in topic.config},
            }
            print(json.dumps(row))
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    for column in ("topic", "kind", "partitions", "copies", "kept"):
        table.add_column(column, no_wrap=True, justify="right" if column[-1] == "s" else "left")
    for topic in topics:
        present = found.get(topic.name)
        if present is None:
            table.add_row(topic.name, topic.kind, "-", "-", "[dim]is not there[/]")
        else:
            kept = _kept(present.config)
            counts = (str(present.partitions), str(present.copies))
            table.add_row(topic.name, topic.kind, *counts, kept)
    out.print(table)


@app.command()
def plan(
    partitions: Partitions = None,
    replication: Replication = None,
    check: Annotated[
        bool, typer.Option("--check", help="Exit with code 1 unless everything is as it is to be.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show what `apply` would do, and do nothing."""
    with _cluster(partitions, replication) as (admin, layout):
        steps = _steps(admin, layout)
    if as_json:
        for step in steps:
            print(json.dumps({"topic": step.topic, "action": step.action, "text": step.text}))
    else:
        _show(steps)
    if check and steps:
        raise typer.Exit(1)


@app.command()
def apply(
    partitions: Partitions = None,
    replication: Replication = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Make the topics what the contracts say: show the plan, ask, and do it.

    Applied twice, it does nothing the second time. It never deletes a topic, takes a partition
    away, or moves keys that a service keeps state of: it refuses these, does the rest, and exits
    with code 1.
    """
    from tailrace.topics.plan import plural

    with _cluster(partitions, replication) as (admin, layout):
        steps = _steps(admin, layout)
        _show(steps)
        changes = [step for step in steps if step.does]
        if changes and not (yes or typer.confirm(f"Make {plural(len(changes), 'change')}?")):
            raise typer.Exit(1)
        for step in changes:
            admin.apply(step)
            out.print(f"{escape(step.topic)}: {step.action} done")
    if any(step.action == "refuse" for step in steps):
        raise typer.Exit(1)


@contextmanager
def _cluster(
    partitions: int | None = None, replication: int | None = None
) -> "Iterator[tuple[TopicAdmin, TopicLayout]]":
    """The cluster of the local stack, or of `KAFKA_BOOTSTRAP_SERVERS`, and its layout.

    Raises:
        StackError: The brokers do not answer, or refuse what the block asks of them.
    """
    from local.stack.services import EMBEDDED_TOPICS
    from local.stack.settings import stack_settings
    from servicekit.errors import FatalBusError, UnavailableError
    from servicekit.kafka.topic_layout import TopicLayout
    from servicekit.settings import TopicSettings, load_settings
    from tailrace.bus import of_running_stack
    from tailrace.topics.admin import TopicAdmin

    stack, settings = of_running_stack(stack_settings()), load_settings(TopicSettings)
    layout = TopicLayout(
        partitions or settings.kafka_partitions,
        replication or settings.kafka_replication,
        {**(EMBEDDED_TOPICS if stack.embedded else {}), **settings.kafka_topic_options},
    )
    try:
        yield TopicAdmin(stack.bootstrap_servers, settings.client_options()), layout
    except (UnavailableError, FatalBusError) as error:
        raise StackError(
            f"{error}: tailrace up starts the local broker, KAFKA_BOOTSTRAP_SERVERS names another,"
            " and KAFKA_SASL_USERNAME needs the rights to describe, create and alter topics"
        ) from error


def _steps(admin: "TopicAdmin", layout: "TopicLayout") -> "Sequence[Change]":
    from event_schemas.topics import all_topics
    from tailrace.topics.plan import plan

    topics = all_topics()
    return plan(topics, admin.found(topic.name for topic in topics), layout)


def _show(steps: "Sequence[Change]") -> None:
    if not steps:
        out.print("every topic is as the contracts say")
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for step in steps:
        table.add_row(MARKS[step.action], step.topic, escape(step.text))
    out.print(table)


def _kept(config: Mapping[str, str]) -> str:
    if "compact" in config.get("cleanup.policy", ""):
        return "the newest of a key"
    milliseconds = int(config.get("retention.ms", "-1"))
    days = milliseconds / (24 * 3600 * 1000)
    return "for ever" if milliseconds < 0 else f"{days:g} days"
