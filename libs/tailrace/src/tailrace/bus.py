"""Topics as the command reads and writes them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from local.errors import StackError
from local.stack.settings import StackSettings, stack_settings

if TYPE_CHECKING:
    from event_schemas import EventBody
    from servicekit.bus import Bus, Message, Record
    from servicekit.kafka import KafkaBus

SEND_SECONDS = 30.0
"""How long the brokers may take to acknowledge a record."""


def stack_bus(settings: StackSettings) -> "KafkaBus":
    """The bus of a stack, with the security that `KAFKA_*` names."""
    from servicekit.access import KafkaAccess
    from servicekit.kafka import BUSES
    from servicekit.settings import load_settings

    options = load_settings(KafkaAccess).client_options()
    return BUSES[settings.broker_kind](settings.bootstrap_servers, options=options)


def of_running_stack(settings: StackSettings) -> StackSettings:
    """The settings with the broker that runs, for a shell that knows nothing of the ports of `up`.

    Raises:
        StackError: No broker runs in this home, and KAFKA_BOOTSTRAP_SERVERS names none: what
            answers at the default port is the stack of somebody else.
    """
    from local.stack import record

    if settings.kafka_bootstrap_servers:
        return settings
    none = StackError(
        f"no broker runs in TAILRACE_HOME={settings.home}: tailrace up starts one there, and"
        " KAFKA_BOOTSTRAP_SERVERS names another"
    )
    if not record.read(settings.layout):
        raise none
    # An image, where no stack ever is, holds nothing that could look whether one runs.
    from local.stack import lifecycle

    known = lifecycle.running(settings.layout)
    parts = [part for part in known.parts if part.name.startswith("kafka")] if known else []
    if not parts:
        raise none
    addresses = ",".join(part.endpoint.address for part in parts)
    if parts[0].stage is None:
        return settings.model_copy(update={"kafka_bootstrap_servers": addresses})
    ports = [int(address.rpartition(":")[2]) for address in addresses.split(",")]
    kind, nodes = lifecycle.broker_of(settings.layout)
    update = {"kafka_port": min(ports), "broker": kind, "nodes": nodes}
    return settings.model_copy(update=update)


@contextmanager
def broker() -> Iterator["KafkaBus"]:
    """The bus of the local stack, or of `KAFKA_BOOTSTRAP_SERVERS`.

    Raises:
        StackError: The broker does not answer.
    """
    from servicekit.errors import UnavailableError

    settings = of_running_stack(stack_settings())
    try:
        yield stack_bus(settings)
    except UnavailableError as error:
        raise StackError(
            f"the broker {settings.bootstrap_servers} is away ({error}): tailrace up starts the"
            " local one, and KAFKA_BOOTSTRAP_SERVERS names another"
        ) from error


def read(bus: "Bus", *topics: str, until: Callable[[], bool] | None = None) -> "Iterator[Message]":
    """Messages of some topics from their start.

    What is there at the start comes the oldest first, whatever its topic and partition; so it is
    held until all of it was read.

    Args:
        bus: Where the topics are.
        topics: Their names.
        until: Ends the reading; by default it ends after all that is there.
    """
    view = bus.view(*topics)
    backlog: list[Message] | None = []
    try:
        while True:
            messages = view.poll(0.1)
            if backlog is None:
                yield from messages
            else:
                backlog += messages
                if view.caught_up:
                    yield from sorted(backlog, key=lambda message: message.timestamp_ms)
                    backlog = None
            if until() if until else backlog is None and not messages:
                return
    finally:
        view.close()


@contextmanager
def sending(bus: "Bus") -> Iterator[Callable[["Record"], None]]:
    """Yield a function that sends a record and waits until the brokers have it."""
    sender = bus.sender()
    try:
        yield lambda record: sender.send(record).result(SEND_SECONDS)
    finally:
        sender.close(5.0)


def publish(bus: "Bus", source: str, *bodies: "EventBody") -> list[str]:
    """Publish events of now, and return their ids."""
    from servicekit.cloudevents import encode
    from servicekit.event import Event

    events = [Event(body=body, source=source, time=datetime.now(UTC)) for body in bodies]
    with sending(bus) as send:
        for event in events:
            send(encode(event))
    return [event.id for event in events]
