"""The sink loop: write, publish, commit, with a crash or an outage between any two."""

import threading
from collections.abc import Callable, Collection, Sequence
from typing import Any

import pytest

from servicekit import cloudevents
from servicekit.bus import Record
from servicekit.cloudevents import decode
from servicekit.errors import UnavailableError
from servicekit.event import Event, caused_by
from servicekit.loops.sink import Received, SinkLoop
from servicekit.testing.faults import FaultyBus
from servicekit.testing.metrics import metric_value


class Crash(BaseException):
    """The process is gone."""


class Store:
    """Holds each number once, like a table that stores the offsets with the rows."""

    def __init__(self, stored: Any) -> None:
        self._stored = stored
        self.rows: list[int] = []
        self.journal: list[Event[Any]] = []
        """What the store was to say, for `recover`."""
        self.known: set[str] = set()
        self.taken: list[tuple[str, int]] = []
        self.error: Callable[[int], Exception | None] = lambda n: None

    def recover(self) -> Sequence[Event[Any]]:
        return self.journal[-1:]

    def taken_over(self, partitions: Collection[tuple[str, int]]) -> None:
        self.taken += sorted(partitions)

    def write(self, batch: Sequence[Received]) -> Sequence[Event[Any]]:
        new = [item.event for item in batch if item.event.id not in self.known]
        for event in new:
            if error := self.error(event.body.n):
                raise error
        said = [
            caused_by(e, self._stored(name="a", n=e.body.n), index=0, source="/s", time=e.time)
            for e in new
        ]
        self.known.update(event.id for event in new)
        self.rows += [event.body.n for event in new]
        self.journal += said
        return said


class Setting:
    def __init__(self, world: Any, service: str, contract: Callable[..., Any]) -> None:
        self.world, self.service = world, service
        self.asked, self.stored = contract(), contract()
        self.store = Store(self.stored)
        self.bus = FaultyBus(world.bus)

    def start(self, **options: Any) -> SinkLoop:
        loop = SinkLoop(
            self.service,
            self.store,
            self.bus,
            topics=[self.asked.topic()],
            **{"poll_seconds": 0.2, **options},
        )
        loop.open()
        return loop

    def publish(self, count: int) -> None:
        self.world.publish(*(self.asked(name="a", n=n) for n in range(count)))

    def said(self) -> list[int]:
        """What was published, each event id once."""
        events = {}
        for message in self.world.messages(self.stored.topic()):
            event = decode(message)
            events.setdefault(event.id, event.body.n)
        return list(events.values())


@pytest.fixture
def setting(world: Any, unique: str, contract: Callable[..., Any]) -> Setting:
    return Setting(world, unique, contract)


def turn(loop: SinkLoop, done: Callable[[], bool]) -> None:
    for _ in range(100):
        if done():
            return
        loop.step()
    raise AssertionError("it did not come about")


def test_a_batch_lingers_until_it_is_full(setting: Setting) -> None:
    setting.publish(1)
    loop = setting.start(max_batch=2, linger_seconds=60.0, poll_seconds=10.0)
    late = threading.Timer(0.2, setting.publish, [1])
    late.start()
    assert loop.step() == 2
    late.join()
    loop.close()


def test_a_batch_that_does_not_fill_lingers_no_longer_than_told(setting: Setting) -> None:
    setting.publish(1)
    loop = setting.start(max_batch=2, linger_seconds=0.05, poll_seconds=10.0)
    assert loop.step() == 1
    loop.close()


def test_a_batch_is_written_then_published_then_committed(setting: Setting) -> None:
    setting.publish(3)
    loop = setting.start()
    turn(loop, lambda: len(setting.store.rows) == 3)
    loop.close()
    assert setting.said() == [0, 1, 2]
    calls = [call for call in setting.bus.calls if call in ("publish", "commit")]
    assert calls[:3] == ["publish", "publish", "commit"]
    # Nothing comes again.
    loop = setting.start()
    assert loop.step() == 0
    loop.close()


@pytest.mark.parametrize("step", ["publish", "commit"])
@pytest.mark.parametrize("done", [False, True])
def test_a_crash_between_the_steps_repeats_no_row_and_leaves_nothing_unsaid(
    setting: Setting, step: str, done: bool
) -> None:
    setting.publish(3)
    loop = setting.start()
    setting.bus.fail(step, Crash(), done=done)
    with pytest.raises(Crash):
        turn(loop, lambda: False)
    loop.close()
    loop = setting.start()
    setting.publish(1)
    turn(loop, lambda: len(setting.store.rows) == 4)
    loop.close()
    assert setting.store.rows == [0, 1, 2, 0]
    # All but what the store could not remember to say: `recover` here knows the last event.
    assert setting.said()[-2:] == [2, 0]


@pytest.mark.parametrize("step", ["publish", "commit"])
def test_an_outage_after_the_write_leaves_nothing_unsaid(setting: Setting, step: str) -> None:
    setting.publish(3)
    loop = setting.start()
    setting.bus.fail(step, times=2)
    for _ in range(2):
        with pytest.raises(UnavailableError):
            turn(loop, lambda: False)
    turn(loop, lambda: setting.bus.calls[-1] == "commit")
    loop.close()
    assert setting.store.rows == [0, 1, 2]
    assert setting.said() == [0, 1, 2]


def test_an_outage_of_the_store_brings_the_batch_again(setting: Setting) -> None:
    outages = [UnavailableError("the lake is away")]
    setting.store.error = lambda n: outages.pop() if n == 1 and outages else None
    setting.publish(3)
    loop = setting.start()
    with pytest.raises(UnavailableError, match="lake"):
        turn(loop, lambda: len(setting.store.rows) == 3)
    turn(loop, lambda: len(setting.store.rows) == 3)
    loop.close()
    assert setting.store.rows == [0, 1, 2]


def test_an_event_that_breaks_the_sink_is_found_and_the_others_are_written(
    setting: Setting,
) -> None:
    setting.store.error = lambda n: ValueError("no such day") if n == 5 else None
    setting.publish(8)
    setting.world.put(Record(setting.asked.topic(), b"k", b"poison"))
    loop = setting.start()
    turn(loop, lambda: len(setting.store.rows) == 7)
    turn(loop, lambda: len(setting.world.messages(f"{setting.service}.dead")) == 2)
    loop.close()
    assert sorted(setting.store.rows) == [0, 1, 2, 3, 4, 6, 7]
    dead = setting.world.messages(f"{setting.service}.dead")
    reasons = sorted(dict(message.headers)["dead_error"] for message in dead)
    assert reasons == [b"UndecodableError", b"ValueError"]
    assert {dict(m.headers)["dead_offset"] for m in dead} == {b"5", b"8"}


def test_fault_2_1_the_sink_is_told_what_was_taken_over_before_it_writes(setting: Setting) -> None:
    setting.publish(1)
    loop = setting.start()
    turn(loop, lambda: bool(setting.store.rows))
    assert setting.store.taken == [(setting.asked.topic(), 0)]
    setting.publish(1)
    turn(loop, lambda: len(setting.store.rows) == 2)
    loop.close()
    assert len(setting.store.taken) == 1
    loop = setting.start()
    setting.publish(1)
    turn(loop, lambda: len(setting.store.rows) == 3)
    loop.close()
    assert len(setting.store.taken) == 2


def test_fault_6_1_an_event_that_does_not_fit_is_counted_and_the_loop_goes_on(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
) -> None:
    setting.world.publish(setting.asked(name="a", n=10**15))
    setting.publish(1)
    monkeypatch.setattr(cloudevents, "MAX_VALUE_BYTES", 20)
    loop = setting.start()
    turn(loop, lambda: len(setting.store.rows) == 2)
    labels = {"service": setting.service, "error": "TooLargeError"}
    assert metric_value("tailrace_dead_letters_total", **labels) == 1
    assert setting.said() == [0]
    loop.close()
    del setting.store.journal[1:]
    loop = setting.start()  # and it starts with such an event as its newest
    assert metric_value("tailrace_dead_letters_total", **labels) == 2
    loop.close()
