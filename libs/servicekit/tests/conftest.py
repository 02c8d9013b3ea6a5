"""A bus of each kind, and contracts that no other test has."""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, ClassVar
from uuid import uuid4

import pytest

from event_schemas import BY_TYPE, EventBody
from local.broker import bus as bus_on
from servicekit.bus import Bus, Message, Record
from servicekit.clock import FakeClock
from servicekit.cloudevents import decode, encode
from servicekit.event import Event
from servicekit.kafka import KafkaBus
from servicekit.memory import MemoryBus

WHEN = FakeClock().now()


class World:
    """A bus, and what a test asks of the topics behind it."""

    def __init__(self, kind: str, bus: Bus, sender: Any) -> None:
        self.kind = kind
        self.bus = bus
        self._sender = sender

    def make(self, *topics: str) -> None:
        """Topics that no reader has asked for yet; a broker need not make them on first use."""
        if isinstance(self.bus, KafkaBus):
            view = self.bus.view(*topics)
            view.poll(0)
            view.close()

    def put(self, *records: Record) -> None:
        self.make(*{record.topic for record in records})
        # No more at once than a sender's queue takes.
        for start in range(0, len(records), 5000):
            some = records[start : start + 5000]
            for future in [self._sender.send(record) for record in some]:
                future.result(timeout=10)

    def publish(self, *bodies: EventBody) -> list[Event[Any]]:
        events = [Event(body=body, source="/test", time=WHEN) for body in bodies]
        self.put(*map(encode, events))
        return events

    def pass_time(self) -> None:
        """Until what is put next has a later timestamp; those are in milliseconds."""
        if isinstance(self.bus, MemoryBus):
            assert isinstance(self.bus.clock, FakeClock)
            self.bus.clock.advance(timedelta(milliseconds=1))
            return
        before = time.time_ns() // 1_000_000
        while time.time_ns() // 1_000_000 == before:
            pass

    def messages(self, topic: str) -> list[Message]:
        """All committed messages of a topic."""
        view = self.bus.view(topic)
        found: list[Message] = []
        try:
            until = time.monotonic() + 10
            while True:
                found += view.poll(0.5)
                if view.caught_up:
                    return found
                assert time.monotonic() < until, f"{topic} has no end"
        finally:
            view.close()

    def bodies(self, contract: type[EventBody]) -> list[Any]:
        return [decode(message).body for message in self.messages(contract.topic())]


@pytest.fixture(scope="session")
def kafka(kafka_bootstrap: str) -> Iterator[tuple[KafkaBus, Any]]:
    bus = bus_on(kafka_bootstrap)
    sender = bus.sender()
    yield bus, sender
    sender.close(5)


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.integration)])
def world(request: pytest.FixtureRequest) -> World:
    if request.param == "memory":
        bus = MemoryBus()
        return World("memory", bus, bus.sender())
    return request.getfixturevalue("kafka_world")


@pytest.fixture
def kafka_world(kafka: tuple[KafkaBus, Any]) -> World:
    return World("kafka", *kafka)


@pytest.fixture
def unique() -> str:
    """A name for a service or group of this test alone."""
    return f"s{uuid4().hex[:12]}"


@pytest.fixture
def contract(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """Makes contracts with a name, a number and a type of their own."""

    def make(kind: str = "", *, is_compacted: bool = False) -> Any:
        event_type = kind or f"t{uuid4().hex[:12]}"

        class Counted(EventBody):
            type: ClassVar[str] = event_type
            key_field: ClassVar[str] = "name"
            compacted: ClassVar[bool] = is_compacted

            name: str
            n: int = 0

        monkeypatch.setitem(BY_TYPE, event_type, Counted)
        return Counted

    return make
