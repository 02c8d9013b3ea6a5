"""Topics are read once to their end, and what is unreadable is counted."""

from typing import Any

import pytest
from prometheus_client import REGISTRY

from servicekit.bus import Message, Record
from servicekit.errors import UnavailableError
from servicekit.memory import MemoryBus
from servicekit.read_to_end import read_events, read_to_end


@pytest.fixture
def asked(contract: Any) -> Any:
    return contract(is_compacted=True)


def test_every_message_of_all_topics_is_read(world: Any, contract: Any) -> None:
    first, second = contract(), contract()
    world.publish(*(first(name="a", n=n) for n in range(1200)), second(name="b"))
    found = list(read_to_end(world.bus, first.topic(), second.topic()))
    assert sorted(m.topic for m in found) == sorted([first.topic()] * 1200 + [second.topic()])


def test_an_empty_topic_has_no_events(world: Any, asked: Any) -> None:
    assert list(read_events("s", world.bus, asked.topic())) == []


def test_a_deletion_is_a_key_without_an_event(world: Any, asked: Any) -> None:
    world.publish(asked(name="a", n=1))
    world.put(Record(asked.topic(), b"a", None))
    found = list(read_events("s", world.bus, asked.topic()))
    assert [(key, event and event.body.n) for key, event in found] == [("a", 1), ("a", None)]


def test_a_message_that_cannot_be_read_is_counted_and_passed_over(
    asked: Any, caplog: pytest.LogCaptureFixture
) -> None:
    bus, topic = MemoryBus(), asked.topic()
    bus.append(Record(topic, b"a", b"{}"))
    bus.publish(asked(name="b", n=2))
    assert [key for key, _ in read_events("s", bus, topic)] == ["b"]
    labels = {"service": "s", "topic": topic}
    assert REGISTRY.get_sample_value("tailrace_unreadable_messages_total", labels) == 1
    assert f"cannot read {topic}[0]@0: the header ce_id is missing" in caplog.text


def test_a_topic_that_stops_before_its_end_is_an_outage(
    asked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bus = MemoryBus()
    bus.publish(asked(name="a"))
    view = bus.view(asked.topic())

    def nothing(timeout: float) -> list[Message]:
        return []

    monkeypatch.setattr(view, "poll", nothing)
    monkeypatch.setattr(bus, "view", lambda *topics: view)
    with pytest.raises(UnavailableError, match="not read to the end, nothing came for 0 s"):
        list(read_to_end(bus, asked.topic(), seconds=0.0))
