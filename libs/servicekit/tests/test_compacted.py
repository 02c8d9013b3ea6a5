"""The newest event of each key, followed through changes, deletions and outages."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from servicekit.bus import Record
from servicekit.compacted import CompactedView
from servicekit.errors import UnavailableError
from servicekit.loops.backoff import Backoff
from servicekit.memory import MemoryBus
from servicekit.testing.faults import FaultyBus


class Setting:
    def __init__(self, bus: Any, asked: Any) -> None:
        self.bus = FaultyBus(bus)
        self.seen: list[tuple[str, int | None]] = []
        self.refuse: dict[str, list[Exception]] = {}
        self.view = CompactedView("s", self.bus, asked, self.change, poll_seconds=0.05)

    def change(self, key: str, event: Any) -> None:
        if self.refuse.get(key):
            raise self.refuse[key].pop()
        self.seen.append((key, event and event.body.n))

    def step(self, until: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 15
        while not until():
            assert time.monotonic() < deadline
            self.view.step()

    def known(self) -> dict[str, int]:
        return {key: event.body.n for key, event in self.view.items()}


@pytest.fixture
def asked(contract: Callable[..., Any]) -> Any:
    return contract(is_compacted=True)


def test_only_the_newest_of_each_key_is_taken_at_the_start(world: Any, asked: Any) -> None:
    world.publish(*(asked(name=name, n=n) for n, name in enumerate("abab")))
    world.publish(asked(name="c"))
    world.put(Record(asked.topic(), b"c", None))
    setting = Setting(world.bus, asked)
    assert not setting.view.ready
    setting.step(lambda: setting.view.ready)
    assert sorted(setting.seen) == [("a", 2), ("b", 3)]
    assert setting.known() == {"a": 2, "b": 3}
    setting.view.close()


def test_it_follows_changes_and_deletions(world: Any, asked: Any) -> None:
    setting = Setting(world.bus, asked)
    setting.step(lambda: setting.view.ready)
    world.publish(asked(name="a", n=1))
    setting.step(lambda: bool(setting.seen))
    world.publish(asked(name="a", n=2))
    world.put(Record(asked.topic(), b"a", None))
    setting.step(lambda: setting.seen[-1] == ("a", None))
    assert setting.view.get("a") is None
    world.publish(asked(name="a", n=3))
    setting.step(lambda: setting.seen[-1] == ("a", 3))
    event = setting.view.get("a")
    assert event is not None
    assert event.body.n == 3
    setting.view.close()


@pytest.fixture
def bus() -> MemoryBus:
    return MemoryBus()


def test_a_message_that_cannot_be_read_changes_nothing(bus: MemoryBus, asked: Any) -> None:
    bus.publish(asked(name="a", n=1))
    bus.append(Record(asked.topic(), b"a", b"poison"))
    setting = Setting(bus, asked)
    setting.step(lambda: setting.view.ready)
    assert setting.known() == {"a": 1}


def test_a_change_that_meets_an_outage_is_taken_later_and_as_it_is_then(
    bus: MemoryBus, asked: Any
) -> None:
    setting = Setting(bus, asked)
    bus.publish(asked(name="a", n=1))
    bus.publish(asked(name="b", n=1))
    setting.refuse["a"] = [UnavailableError("registry")]
    with pytest.raises(UnavailableError, match="registry"):
        setting.view.step()
    assert setting.seen == [("b", 1)]
    assert not setting.view.ready
    bus.publish(asked(name="a", n=2))
    setting.view.step()
    assert setting.seen == [("b", 1), ("a", 2)]
    assert setting.view.ready


def test_a_bug_of_the_listener_costs_its_own_key_alone(bus: MemoryBus, asked: Any) -> None:
    setting = Setting(bus, asked)
    bus.publish(asked(name="a", n=1))
    bus.publish(asked(name="b", n=1))
    setting.refuse["a"] = [KeyError("bug")]
    setting.view.step()
    assert setting.seen == [("b", 1)]
    assert setting.view.ready
    bus.publish(asked(name="a", n=2))
    setting.view.step()
    assert setting.known() == {"a": 2, "b": 1}


def test_after_an_outage_all_is_read_again_and_what_was_deleted_meanwhile_is_gone(
    bus: MemoryBus, asked: Any
) -> None:
    bus.publish(asked(name="a", n=1))
    bus.publish(asked(name="b", n=1))
    setting = Setting(bus, asked)
    setting.view.step()
    # Compaction removed the tombstone of `a` along with `a` itself.
    del bus.logs[asked.topic(), 0][0]
    bus.publish(asked(name="c", n=1))
    setting.bus.fail("poll")
    with pytest.raises(UnavailableError):
        setting.view.step()
    assert setting.known() == {"a": 1, "b": 1}
    setting.view.step()
    assert setting.known() == {"b": 1, "c": 1}
    assert setting.seen[2:] == [("c", 1), ("a", None)]


def test_it_runs_as_a_component(world: Any, asked: Any) -> None:
    world.publish(asked(name="a", n=1))
    setting = Setting(world.bus, asked)
    setting.view._backoff = Backoff(base=0.001, cap=0.002)
    setting.bus.fail("poll", times=2)
    stop = threading.Event()
    thread = threading.Thread(target=setting.view.run, args=(stop,))
    thread.start()
    waiting = threading.Event()
    for _ in range(1500):
        if setting.view.ready:
            break
        waiting.wait(0.01)
    assert setting.known() == {"a": 1}
    stop.set()
    thread.join(15)
    assert not thread.is_alive()
    assert not setting.view.ready
