"""`tailrace retrain`: ask for a retraining, as any system could."""

import time
from datetime import UTC, datetime
from typing import Annotated, Literal

import typer

from local.errors import StackError
from tailrace.bus import broker, publish, read
from tailrace.commands.terminal import out


def retrain(
    model: Annotated[str, typer.Argument(help="The model, as its folder is called.")],
    cause: Annotated[
        Literal["manual", "schedule", "drift", "performance", "volume"],
        typer.Option(help="Why."),
    ] = "manual",
    by: Annotated[
        str, typer.Option(envvar="USER", help="Who asks; it is kept in the events.")
    ] = "tailrace",
    until: Annotated[
        datetime | None,
        typer.Option(help="Event time up to which data is read; default: now.", metavar="TIME"),
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Wait for the trainer's decision.")
    ] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait at most.", min=1)] = 60.0,
) -> None:
    """Ask for a retraining. The trainer decides, by the policies of the model.

    With --wait the exit code is 0 when it was accepted, merged or deferred, and 1 when refused.
    """
    from event_schemas import RetrainDecided, RetrainRequested
    from servicekit.cloudevents import decode

    now = datetime.now(UTC)
    moment = now if until is None else until.replace(tzinfo=until.tzinfo or UTC)
    request = RetrainRequested(model=model, cause=cause, requested_by=by, event_time=moment)
    with broker() as bus:
        (request_id,) = publish(bus, "/tailrace/command", request)
        out.print(f"requested: {request_id}", soft_wrap=True)
        if not wait:
            return
        deadline = time.monotonic() + timeout
        for message in read(bus, RetrainDecided.topic(), until=lambda: time.monotonic() > deadline):
            decided = decode(message).body
            if isinstance(decided, RetrainDecided) and decided.request_id == request_id:
                out.print(f"{decided.decision}: {decided.reason}", markup=False)
                raise typer.Exit(1 if decided.decision == "refused" else 0)
        raise StackError(
            f"no decision in {timeout:g} s: is the trainer up (tailrace status), and does it know"
            f" {model}? The request stays in its topic"
        )
