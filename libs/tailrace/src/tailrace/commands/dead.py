"""`tailrace dead`: what the services could not handle, and how it gets a second chance."""

import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from tailrace.bus import broker, sending
from tailrace.commands.terminal import fail, out

if TYPE_CHECKING:
    from servicekit.kafka import KafkaBus
    from tailrace.dead_letters import DeadLetter

app = typer.Typer(help="Dead letters: list, show, send again.", no_args_is_help=True)
Service = Annotated[
    list[str] | None, typer.Argument(help="Services whose letters to list; default: all.")
]
Ids = Annotated[list[str], typer.Argument(help="Letters as `tailrace dead list` names them.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]


@app.command("list")
def list_letters(services: Service = None, as_json: AsJson = False) -> None:
    """List the messages that no service could handle, the oldest of each service first.

    `tailrace dead show` has the whole reason, the headers and the value.
    """
    with broker() as bus:
        letters = _read(bus, services or [])
    if as_json:
        for letter in letters:
            print(json.dumps(letter.summary()))
        return
    table = Table(box=None, header_style="bold", pad_edge=False)
    # The name is needed whole, for `show` and `resend`; the reason has what is left of the line.
    table.add_column("letter", no_wrap=True, min_width=max((len(x.id) for x in letters), default=0))
    table.add_column("from", no_wrap=True, min_width=16)
    table.add_column("reason", no_wrap=True, overflow="ellipsis")
    for letter in letters:
        table.add_row(letter.id, letter.origin, escape(letter.reason.partition("\n")[0]))
    out.print(table if letters else "no dead letters")


@app.command()
def show(ids: Ids) -> None:
    """Show letters as JSON: origin, reason, headers and value."""
    with broker() as bus:
        letters = _named(bus, ids)
    for letter in letters:
        out.print_json(json.dumps(letter.whole()))


@app.command()
def resend(ids: Ids) -> None:
    """Send letters again to where they came from, once what was wrong with them is mended.

    Key, value and headers are the original's. An event keeps its id, so that whoever has handled it
    already does not handle it twice. The letter stays listed until its topic forgets it.
    """
    from servicekit.deadletter import resend as original

    with broker() as bus:
        letters = _named(bus, ids)
        try:
            records = [original(letter.message) for letter in letters]
        except ValueError as error:
            fail(str(error))
        with sending(bus) as send:
            for letter, record in zip(letters, records, strict=True):
                send(record)
                out.print(f"{letter.id} is in {record.topic} again", markup=False)


def _named(bus: "KafkaBus", ids: list[str]) -> "list[DeadLetter]":
    from tailrace.dead_letters import choose

    try:
        return choose(_read(bus, sorted({id_.partition("/")[0] for id_ in ids})), ids)
    except KeyError as error:
        fail(f"no letter is called {error}: tailrace dead list names them")


def _read(bus: "KafkaBus", services: list[str]) -> "list[DeadLetter]":
    """Every letter of some services, or of all."""
    from event_schemas.catalog import SERVICES
    from servicekit.read_to_end import read_to_end
    from tailrace.dead_letters import SUFFIX, DeadLetter

    if unknown := sorted(set(services) - set(SERVICES)):
        fail(f"no service is called {', '.join(unknown)}: there are {', '.join(SERVICES)}", 2)
    topics = (f"{service}{SUFFIX}" for service in services or SERVICES)
    return sorted(
        map(DeadLetter, read_to_end(bus, *topics)),
        key=lambda letter: (letter.message.topic, letter.message.timestamp_ms),
    )
