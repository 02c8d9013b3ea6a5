"""`tailrace retrain`: ask for a retraining, as any system could."""

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from local.errors import StackError
from tailrace.bus import broker, publish, read
from tailrace.commands.terminal import out

if TYPE_CHECKING:
    from servicekit.bus import Bus

REFUSED = 1
NOT_OVER = 3


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
        bool, typer.Option("--wait/--no-wait", help="Wait for the decision, and what comes of it.")
    ] = False,
    timeout: Annotated[float, typer.Option(help="Seconds to wait at most.", min=1)] = 3600.0,
) -> None:
    """Ask for a retraining. The trainer decides, by the policies of the model.

    With --wait the exit code is 0 when a version was approved, 1 when the request was refused, the
    version rejected or the training failed, and 3 when it is not over in time.
    """
    from event_schemas import RetrainRequested

    now = datetime.now(UTC)
    moment = now if until is None else until.replace(tzinfo=until.tzinfo or UTC)
    request = RetrainRequested(model=model, cause=cause, requested_by=by, event_time=moment)
    with broker() as bus:
        (request_id,) = publish(bus, "/tailrace/command", request)
        out.print(f"requested: {request_id}", soft_wrap=True)
        if wait:
            raise typer.Exit(_outcome(bus, model, request_id, timeout))


def _outcome(bus: "Bus", model: str, request_id: str, timeout: float) -> int:
    """Say what is decided and what comes of it; returns the exit code.

    A request that was merged waits for the training that it was merged into, and one that was
    deferred for its next decision.
    """
    from event_schemas import ModelApproved, ModelRejected, RetrainDecided, TrainingFailed
    from servicekit.cloudevents import decode
    from servicekit.errors import PoisonMessageError
    from servicekit.event import Event

    deadline = time.monotonic() + timeout
    outcomes = ModelApproved, ModelRejected, TrainingFailed
    topics = [kind.topic() for kind in (RetrainDecided, *outcomes)]
    decided: Event[RetrainDecided] | None = None
    for message in read(bus, *topics, until=lambda: time.monotonic() > deadline):
        try:
            event = decode(message)
        except PoisonMessageError:
            continue  # it is somebody else's
        body = event.body
        if isinstance(body, RetrainDecided) and body.request_id == request_id:
            out.print(f"{body.decision}: {body.reason}", markup=False, soft_wrap=True)
            decided = event
            if body.decision == "refused":
                return REFUSED
        elif decided and isinstance(body, outcomes) and body.model == model:
            ours = decided.body.decision == "accepted" and event.causation_id == decided.id
            if (ours or decided.body.decision == "merged") and (said := _said(body)):
                out.print(said, markup=False, soft_wrap=True)
                return 0 if isinstance(body, ModelApproved) else REFUSED
    if not decided:
        raise StackError(
            f"no decision in {timeout:g} s: is the trainer up (tailrace status), and does it know"
            f" {model}? The request stays in its topic"
        )
    out.print(f"not over in {timeout:g} s: see tailrace events tail", soft_wrap=True)
    return NOT_OVER


def _said(body: object) -> str | None:
    """What an outcome says; None for a failure that the trainer tries again."""
    from event_schemas import ModelApproved, ModelRejected, TrainingFailed

    if isinstance(body, ModelApproved):
        return f"approved: version {body.version.version}, by {body.approved_by}"
    if isinstance(body, ModelRejected):
        failed = "; ".join(gate.reason for gate in body.gates if gate.verdict != "passed")
        return f"rejected: version {body.version.version}: {failed}"
    if isinstance(body, TrainingFailed) and not body.will_retry:
        return f"failed: {body.stage}: {body.error}"
    return None
