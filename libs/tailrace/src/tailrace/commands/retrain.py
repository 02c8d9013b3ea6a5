"""`tailrace retrain`: ask for a retraining, as any system could."""

import time
from datetime import UTC, datetime
from typing import Annotated, Literal

import typer

from local.stack.errors import StackError
from tailrace.commands.broker import broker
from tailrace.commands.terminal import errors_end_the_command, out


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
    from servicekit.cloudevents import decode, encode
    from servicekit.event import Event

    now = datetime.now(UTC)
    moment = now if until is None else until.replace(tzinfo=until.tzinfo or UTC)
    request = Event(
        body=RetrainRequested(model=model, cause=cause, requested_by=by, event_time=moment),
        source="/tailrace/command",
        time=now,
    )
    with errors_end_the_command(), broker() as bus:
        sender = bus.sender()
        try:
            sender.send(encode(request)).result(timeout=30)
        finally:
            sender.close(5.0)
        out.print(f"requested: {request.id}", soft_wrap=True)
        if not wait:
            return
        view = bus.view(RetrainDecided.topic())
        deadline = time.monotonic() + timeout
        try:
            while time.monotonic() < deadline:
                for message in view.poll(0.2):
                    decided = decode(message).body
                    if isinstance(decided, RetrainDecided) and decided.request_id == request.id:
                        out.print(f"{decided.decision}: {decided.reason}", markup=False)
                        raise typer.Exit(1 if decided.decision == "refused" else 0)
        finally:
            view.close()
        raise StackError(
            f"no decision in {timeout:g} s: is the trainer up (tailrace status), and does it know"
            f" {model}? The request stays in its topic"
        )
