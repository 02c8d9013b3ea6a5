"""The job loop: long jobs one at a time, each committed only when it has ended."""

import threading
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from event_schemas import EventBody
from servicekit.bus import Record
from servicekit.cloudevents import decode
from servicekit.errors import FatalBusError, UnavailableError
from servicekit.event import Event
from servicekit.loops.backoff import Backoff
from servicekit.loops.job import JobLoop
from servicekit.testing.faults import FaultyBus


class Setting:
    def __init__(self, world: Any, service: str, contract: Callable[..., Any]) -> None:
        self.world, self.service = world, service
        self.asked, self.trained = contract(), contract()
        self.bus = FaultyBus(world.bus)
        self.begun: list[int] = []
        self.work: Callable[[int], None] = lambda n: None
        self.loop = self.make()

    def make(self) -> JobLoop:
        return JobLoop(self.service, {self.asked: self.job}, self.bus, poll_seconds=0.02)

    def job(self, event: Event[Any]) -> Iterable[EventBody]:
        self.begun.append(event.body.n)
        self.work(event.body.n)
        return [self.trained(name="a", n=event.body.n)]

    def publish(self, *numbers: int) -> None:
        self.world.publish(*(self.asked(name="a", n=n) for n in numbers))

    def turn(self, count: int) -> None:
        done = 0
        for _ in range(500):
            done += self.loop.step()
            if done >= count:
                return
        raise AssertionError(f"only {done} of {count} jobs ended")

    def results(self) -> list[int]:
        return [body.n for body in self.world.bodies(self.trained)]


@pytest.fixture
def setting(world: Any, unique: str, contract: Callable[..., Any]) -> Any:
    setting = Setting(world, unique, contract)
    yield setting
    setting.loop.close()


def test_jobs_run_one_after_the_other(setting: Setting) -> None:
    setting.publish(1, 2, 3)
    setting.loop.open()
    setting.turn(3)
    assert setting.begun == setting.results() == [1, 2, 3]


def test_the_group_is_polled_while_a_job_runs_and_no_message_is_lost(setting: Setting) -> None:
    enough = threading.Event()

    def work(n: int) -> None:
        assert enough.wait(15)

    setting.work = work
    setting.publish(1, 2, 3)
    setting.loop.open()
    turning = threading.Thread(target=setting.turn, args=(1,))
    turning.start()
    waiting = threading.Event()
    for _ in range(1000):
        if setting.bus.calls[-5:] == ["poll"] * 5 and "pause" in setting.bus.calls:
            break
        waiting.wait(0.01)
    enough.set()
    turning.join(15)
    pause, resume = setting.bus.calls.index("pause"), setting.bus.calls.index("resume")
    assert setting.bus.calls[pause + 1 : resume].count("poll") >= 5
    setting.turn(2)
    assert setting.begun == setting.results() == [1, 2, 3]


def test_a_stop_leaves_a_job_behind_and_it_comes_again(setting: Setting) -> None:
    release, stop = threading.Event(), threading.Event()

    def work(n: int) -> None:
        stop.set()
        assert release.wait(15)

    setting.work = work
    setting.publish(1)
    thread = threading.Thread(target=setting.loop.run, args=(stop,))
    thread.start()
    thread.join(15)
    assert not thread.is_alive()
    assert setting.begun == [1]
    release.set()
    setting.work = lambda n: None
    setting.loop = setting.make()
    setting.loop.open()
    setting.turn(1)
    assert setting.begun == [1, 1]
    assert setting.results() == [1]


@pytest.mark.parametrize("operation", ["publish", "commit"])
def test_an_outage_after_a_job_does_not_run_it_again(setting: Setting, operation: str) -> None:
    setting.bus.fail(operation, times=2)
    setting.publish(1, 2)
    setting.loop.open()
    for _ in range(2):
        with pytest.raises(UnavailableError):
            setting.turn(1)
    setting.turn(2)
    assert setting.begun == [1, 2]
    # When only the commit failed, the result was published before: same id, so it is recognised.
    events = [decode(m) for m in setting.world.messages(setting.trained.topic())]
    assert len({event.id for event in events}) == 2


def test_an_outage_in_a_job_runs_it_again(setting: Setting) -> None:
    outages = [UnavailableError("the registry is away")]

    def work(n: int) -> None:
        if outages:
            raise outages.pop()

    setting.work = work
    setting.publish(1, 2)
    setting.loop.open()
    with pytest.raises(UnavailableError, match="registry"):
        setting.turn(1)
    setting.turn(2)
    assert setting.begun == [1, 1, 2]
    assert setting.results() == [1, 2]


def test_an_outage_of_the_bus_while_a_job_runs_does_not_disturb_it(setting: Setting) -> None:
    setting.publish(1)
    setting.loop.open()
    setting.work = lambda n: setting.bus.fail("poll", times=1)
    setting.turn(1)
    assert setting.begun == setting.results() == [1]


def test_a_job_that_times_out_by_itself_is_a_dead_letter_and_not_waited_for(
    setting: Setting,
) -> None:
    def work(n: int) -> None:
        if n == 1:
            raise TimeoutError("the solver gave up")

    setting.work = work
    setting.publish(1, 2)
    setting.world.put(Record(setting.asked.topic(), b"k", b"poison"))
    setting.loop.open()
    setting.turn(3)
    assert setting.results() == [2]
    dead = setting.world.messages(f"{setting.service}.dead")
    assert [dict(m.headers)["dead_error"] for m in dead] == [b"TimeoutError", b"UndecodableError"]


def test_a_fatal_error_ends_the_loop_and_is_no_dead_letter(setting: Setting) -> None:
    def work(n: int) -> None:
        raise FatalBusError("fenced")

    setting.work = work
    setting.publish(1)
    setting.loop.open()
    with pytest.raises(FatalBusError):
        setting.turn(1)
    assert setting.world.messages(f"{setting.service}.dead") == []


@pytest.mark.parametrize("operation", ["open", "rewind"])
def test_an_outage_while_joining_or_going_back_is_waited_out(
    setting: Setting, operation: str
) -> None:
    setting.loop._backoff = Backoff(base=0.001, cap=0.002)
    setting.bus.fail(operation, times=2)
    setting.bus.fail("publish", times=2)
    setting.publish(1)
    stop = threading.Event()
    thread = threading.Thread(target=setting.loop.run, args=(stop,))
    thread.start()
    waiting = threading.Event()
    for _ in range(1500):
        if setting.bus.calls.count("publish") > 2 and setting.bus.calls[-1] == "poll":
            break
        waiting.wait(0.01)
    stop.set()
    thread.join(15)
    assert setting.begun == setting.results() == [1]


# The embedded broker misses no member (ADR 2): Kafka itself refuses such a commit.
@pytest.mark.parametrize("world", ["memory"], indirect=True)
def test_fault_2_4_who_wakes_after_its_successor_publishes_nothing(setting: Setting) -> None:
    newer = setting.world.bus.group(
        group=setting.service, topics=[setting.asked.topic()], member="0"
    )
    setting.work = lambda n: newer.open()
    setting.publish(1)
    setting.loop.open()
    with pytest.raises(FatalBusError):
        setting.turn(1)
    newer.close()
    assert setting.begun == [1]
    assert setting.results() == []


def test_fault_6_15_one_message_that_two_loops_read_is_one_letter(
    setting: Setting, unique: str
) -> None:
    topic = setting.asked.topic()
    setting.loop = JobLoop(
        setting.service,
        {setting.asked: setting.job},
        setting.bus,
        poll_seconds=0.02,
        letters_elsewhere=[topic],
    )
    setting.world.put(Record(topic, b"k", b"poison"))
    setting.publish(1)
    setting.work = lambda n: 1 // 0  # what this loop cannot do is a letter all the same
    setting.loop.open()
    setting.turn(2)
    (letter,) = setting.world.messages(f"{setting.service}.dead")
    assert dict(letter.headers)["dead_error"] == b"ZeroDivisionError"
