"""`tailrace dead`: what the services could not handle, and how it gets a second chance."""

import json
from typing import TYPE_CHECKING, Annotated

import typer

from tailrace.bus import broker, sending
from tailrace.commands.terminal import fail, out

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    for line in lines(letters, out.width if out.is_terminal else None):
        out.print(line, markup=False, soft_wrap=True)


def lines(letters: "Sequence[DeadLetter]", width: int | None) -> list[str]:
    """A line for each letter, under a header; cut to a width, if one is given, but for the name.

    The name is needed whole, for `show` and `resend`; the reason has what is left of the line.
    """
    if not letters:
        return ["no dead letters"]
    rows = [(x.id, x.origin, x.reason.partition("\n")[0]) for x in letters]
    rows.insert(0, ("letter", "from", "reason"))
    name, origin = (max(len(row[column]) for row in rows) for column in (0, 1))
    shown: list[str] = []
    for row in rows:
        line = f"{row[0]:<{name}}  {row[1]:<{origin}}  {row[2]}"
        if width is not None and len(line) > width:
            line = f"{line[: width - 1]}…" if width > name else row[0]
        shown.append(line.rstrip())
    return shown


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
