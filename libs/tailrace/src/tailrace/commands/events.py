"""`tailrace events`: look at what the services say to each other."""

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from tailrace.bus import broker, read
from tailrace.commands.terminal import err, fail, out

if TYPE_CHECKING:
    from servicekit.bus import Message

FREQUENT = {"record.received", "label.arrived", "prediction.logged", "arm.measured"}
"""Types that would drown the others; they are shown when asked for."""

app = typer.Typer(help="Look at what the services say to each other.", no_args_is_help=True)


@app.callback()
def events() -> None:
    """Look at what the services say to each other."""


@app.command()
def tail(
    types: Annotated[
        list[str] | None,
        typer.Argument(help="Types of events, e.g. rollout.step; default: all but the frequent."),
    ] = None,
    follow: Annotated[
        bool, typer.Option("--follow/--no-follow", "-f/-F", help="Wait for more.")
    ] = True,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line: envelope and body.")
    ] = False,
) -> None:
    """Print events as they are published, the oldest first."""
    from event_schemas import BY_TYPE

    wanted = types or [name for name in BY_TYPE if name not in FREQUENT]
    if unknown := sorted(set(wanted) - set(BY_TYPE)):
        fail(f"no event is called {', '.join(unknown)}: there are {', '.join(BY_TYPE)}", 2)
    with broker() as bus, suppress(KeyboardInterrupt):
        for message in read(bus, *wanted, until=(lambda: False) if follow else None):
            _print(message, as_json=as_json)


def _print(message: "Message", *, as_json: bool) -> None:
    from servicekit.cloudevents import decode
    from servicekit.errors import PoisonMessageError
    from tailrace.describe import describe

    try:
        event = decode(message)
    except PoisonMessageError as error:
        where = f"{message.topic}[{message.partition}]@{message.offset}"
        err.print(f"{where}: {error}", markup=False)
        return
    if as_json:
        document = {
            "id": event.id,
            "type": event.body.type,
            "source": event.source,
            "time": event.time.isoformat(),
            "causationid": event.causation_id,
            "correlationid": event.turn,
            "data": event.body.model_dump(mode="json"),
        }
        print(json.dumps(document))
    else:
        out.print(
            f"{event.time:%H:%M:%S}  {event.body.type:<18} {event.body.key:<24} {describe(event)}",
            markup=False,
            soft_wrap=True,
        )
