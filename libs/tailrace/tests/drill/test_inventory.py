"""What a real broker holds, read back."""

import time
from datetime import UTC, datetime
from pathlib import Path

import pytest

from event_schemas import RetrainRequested
from local.broker import broker, kind
from local.broker import bus as bus_on
from servicekit.bus import Message
from servicekit.cloudevents import encode
from servicekit.event import Event
from tailrace.drill import inventory

pytestmark = pytest.mark.integration


def test_events_ends_and_positions_are_read(tmp_path: Path) -> None:
    with broker(tmp_path) as bootstrap:
        bus = bus_on(bootstrap)
        sender = bus.sender()
        body = RetrainRequested(
            model="m", cause="manual", requested_by="me", event_time=datetime.now(UTC)
        )
        sent = [Event(body=body, source="/test", time=datetime.now(UTC)) for _ in range(3)]
        for event in sent:
            sender.send(encode(event)).result(timeout=10)
        sender.close(5.0)
        group = bus.group(group="trainer", topics=[body.topic()], member="0")
        group.open()
        read: list[Message] = []
        until = time.monotonic() + 20
        while len(read) < 3 and time.monotonic() < until:
            read += group.poll(10, 0.5)
        group.commit({(body.topic(), 0): 2})
        group.close()

        found = inventory.take(bootstrap, kind())
    where = (body.topic(), 0)
    assert found.events == {where: tuple(event.id for event in sent)}
    assert found.ends[where] == 3
    assert found.committed == {("trainer", *where): 2}
    assert (found.count(body.topic()), found.count("model.trained")) == (3, 0)
