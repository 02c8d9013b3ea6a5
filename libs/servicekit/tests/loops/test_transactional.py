"""The transactional loop: outputs, state and offsets, together or not at all."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from prometheus_client import REGISTRY

from event_schemas import EventBody
from servicekit.bus import MAX_VALUE_BYTES, Record
from servicekit.clock import FakeClock
from servicekit.cloudevents import decode, encode
from servicekit.errors import FatalBusError, TransactionAbortedError, UnavailableError
from servicekit.event import Event, derived_id
from servicekit.loops.backoff import Backoff
from servicekit.loops.transactional import LOOK, TransactionalLoop
from servicekit.memory import MemoryBus
from servicekit.processor import Due, Handler, Processor
from servicekit.table import Table
from servicekit.telemetry.committed import when_committed
from servicekit.testing.faults import FaultyBus

SOON = Backoff(base=0.001, cap=0.002)


class Counting:
    """A processor that counts per name, and says each count."""

    def __init__(self, service: str, contract: Callable[..., Any]) -> None:
        self.asked, self.counted = contract(), contract()
        self.counts = Table.of("counts", int)
        self.before: Callable[[Any], None] = lambda body: None
        self.handled: list[int] = []
        self.processor = Processor(service, {self.asked: self.count}, [self.counts])

    def count(self, event: Event[Any]) -> Iterable[EventBody]:
        name = event.body.name
        self.handled.append(event.body.n)
        self.counts.put(name, (self.counts.get(name) or 0) + 1)
        if event.body.n < 0:
            self.counts.delete(name)
        self.before(event.body)
        yield self.counted(name=name, n=self.counts.get(name) or 0)


@pytest.fixture
def counting(unique: str, contract: Callable[..., Any]) -> Counting:
    return Counting(unique, contract)


def turn(loop: TransactionalLoop, count: int) -> None:
    """Step until `count` messages have been handled."""
    done = 0
    for _ in range(1000):
        done += loop.step()
        if done >= count:
            assert done == count
            return
    raise AssertionError(f"only {done} of {count} messages were handled")


def counts_of(world: Any, counting: Counting) -> list[tuple[str, int]]:
    return [(body.name, body.n) for body in world.bodies(counting.counted)]


def test_a_handler_reads_what_it_wrote_for_an_earlier_event_of_the_same_batch(
    world: Any, counting: Counting
) -> None:
    world.publish(*(counting.asked(name=name) for name in "aba"))
    loop = TransactionalLoop(counting.processor, world.bus)
    loop.open()
    turn(loop, 3)
    loop.close()
    assert counts_of(world, counting) == [("a", 1), ("b", 1), ("a", 2)]


def test_a_restarted_loop_goes_on_with_its_state_and_its_offsets(
    world: Any, counting: Counting
) -> None:
    first = TransactionalLoop(counting.processor, world.bus)
    first.open()
    world.publish(*(counting.asked(name=name) for name in "aab"))
    turn(first, 3)
    world.publish(counting.asked(name="b", n=-1))
    turn(first, 1)
    first.close()
    counting.counts.clear()
    second = TransactionalLoop(counting.processor, world.bus)
    second.open()
    assert dict(counting.counts.items()) == {"a": 2}
    world.publish(counting.asked(name="a"))
    turn(second, 1)
    second.close()
    assert counts_of(world, counting)[-1] == ("a", 3)


def test_outputs_are_consequences_of_their_event(world: Any, counting: Counting) -> None:
    (cause,) = world.publish(counting.asked(name="a"))
    loop = TransactionalLoop(counting.processor, world.bus)
    loop.open()
    turn(loop, 1)
    loop.close()
    (message,) = world.messages(counting.counted.topic())
    event = decode(message)
    assert event.id == derived_id(cause.id, counting.counted.type)
    assert (event.causation_id, event.turn, event.hops) == (cause.id, cause.id, 1)
    assert event.source == f"/tailrace/{counting.processor.service}"


def test_what_happens_before_a_failed_commit_is_invisible_and_happens_again(
    world: Any, counting: Counting
) -> None:
    bus = FaultyBus(world.bus)
    world.publish(*(counting.asked(name="a", n=n) for n in range(3)))
    loop = TransactionalLoop(counting.processor, bus)
    loop.open()
    bus.fail("commit", TransactionAbortedError("aborted"))
    with pytest.raises(TransactionAbortedError):
        turn(loop, 3)
    assert world.messages(counting.counted.topic()) == []
    assert dict(counting.counts.items()) == {}
    turn(loop, 3)
    loop.close()
    assert counts_of(world, counting) == [("a", 1), ("a", 2), ("a", 3)]
    assert counting.handled == [0, 1, 2, 0, 1, 2]


@pytest.mark.parametrize("done", [True, False])
def test_a_commit_without_an_answer_is_looked_up_in_the_topics(
    world: Any, counting: Counting, done: bool
) -> None:
    bus = FaultyBus(world.bus)
    world.publish(*(counting.asked(name="a", n=n) for n in range(3)))
    loop = TransactionalLoop(counting.processor, bus)
    bus.fail("commit", done=done)
    run_until(loop, lambda: bus.calls.count("commit") >= 1 + (not done) and loop.ready)
    counting.counts.clear()
    loop.open()
    assert dict(counting.counts.items()) == {"a": 3}
    loop.close()
    assert counts_of(world, counting) == [("a", 1), ("a", 2), ("a", 3)]


def run_until(loop: TransactionalLoop, done: Callable[[], bool]) -> None:
    """Run the loop on a thread as a service would, until something is so."""
    loop._backoff = SOON
    stop, failed = threading.Event(), []

    def body() -> None:
        try:
            loop.run(stop)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    try:
        waiting = threading.Event()
        for _ in range(1500):
            if done() or failed:
                break
            waiting.wait(0.01)
        else:
            raise AssertionError("it did not come about in time")
    finally:
        stop.set()
        thread.join(15)
    if failed:
        raise failed[0]


@pytest.mark.parametrize("operation", ["open", "restore", "poll", "rewind"])
def test_an_outage_at_any_call_is_waited_out(
    world: Any, counting: Counting, operation: str
) -> None:
    bus = FaultyBus(world.bus)
    world.publish(*(counting.asked(name="a", n=n) for n in range(3)))
    loop = TransactionalLoop(counting.processor, bus)
    bus.fail(operation, times=2)
    if operation == "rewind":
        bus.fail("commit", TransactionAbortedError("aborted"), times=2)

    def committed() -> bool:
        ends = [call for call in bus.calls if call in ("commit", "rewind")]
        return counting.handled[-1:] == [2] and ends[-1:] == ["commit"] and bus.calls[-1] == "poll"

    run_until(loop, committed)
    assert counts_of(world, counting) == [("a", 1), ("a", 2), ("a", 3)]


def test_messages_of_a_poll_that_failed_are_not_skipped(world: Any, counting: Counting) -> None:
    bus = FaultyBus(world.bus)
    world.publish(*(counting.asked(name="a", n=n) for n in range(3)))
    loop = TransactionalLoop(counting.processor, bus, poll_seconds=5.0)
    loop.open()
    bus.fail("poll", done=True)
    with pytest.raises(UnavailableError):
        loop.step()
    turn(loop, 3)
    loop.close()
    assert counting.handled == [0, 1, 2]


def test_an_outage_in_a_handler_retries_the_batch_and_skips_nothing(
    world: Any, counting: Counting
) -> None:
    outages = [UnavailableError("the registry is away")]

    def fail_once(body: Any) -> None:
        if body.n == 1 and outages:
            raise outages.pop()

    counting.before = fail_once
    world.publish(*(counting.asked(name="a", n=n) for n in range(3)))
    loop = TransactionalLoop(counting.processor, world.bus)
    loop.open()
    with pytest.raises(UnavailableError, match="registry"):
        turn(loop, 3)
    turn(loop, 3)
    loop.close()
    assert counts_of(world, counting) == [("a", 1), ("a", 2), ("a", 3)]


def test_poison_goes_to_the_dead_letters_with_its_bytes_and_origin_and_stops_nothing(
    world: Any, counting: Counting
) -> None:
    topic = counting.asked.topic()
    world.publish(counting.asked(name="a"))
    world.put(Record(topic, b"key", b"\xff\x00 no event", (("mine", b"\x01"),)))
    world.publish(counting.asked(name="a"))
    loop = TransactionalLoop(counting.processor, world.bus)
    loop.open()
    turn(loop, 3)
    loop.close()
    assert counts_of(world, counting) == [("a", 1), ("a", 2)]
    (dead,) = world.messages(counting.processor.dead_topic)
    headers = dict(dead.headers)
    assert (dead.key, dead.value, headers["mine"]) == (b"key", b"\xff\x00 no event", b"\x01")
    assert headers["dead_topic"] == topic.encode()
    assert (headers["dead_partition"], headers["dead_offset"]) == (b"0", b"1")
    assert headers["dead_error"] == b"UndecodableError"
    assert b"ce_id is missing" in headers["dead_text"]


def test_a_bug_of_a_handler_costs_its_own_event_alone(world: Any, counting: Counting) -> None:
    def break_at_one(body: Any) -> None:
        if body.n == 1:
            raise KeyError("a bug")

    counting.before = break_at_one
    world.publish(*(counting.asked(name="a", n=n) for n in range(3)))
    loop = TransactionalLoop(counting.processor, world.bus)
    loop.open()
    turn(loop, 3)
    loop.close()
    # The second event's change of the table was undone with it.
    assert counts_of(world, counting) == [("a", 1), ("a", 2)]
    (dead,) = world.messages(counting.processor.dead_topic)
    assert decode(dead).body.n == 1
    assert dict(dead.headers)["dead_error"] == b"KeyError"


def test_a_slot_leaves_the_other_slots_partitions_alone(
    unique: str, contract: Callable[..., Any]
) -> None:
    bus = MemoryBus(partitions=2)
    counting = Counting(unique, contract)
    other = Counting(unique, contract)
    other.asked, other.counted = counting.asked, counting.counted
    other.processor = Processor(unique, {other.asked: other.count}, [other.counts])
    for n in range(40):
        bus.publish(counting.asked(name=f"name {n}", n=n))
    for slot, part in enumerate((counting, other)):
        loop = TransactionalLoop(part.processor, bus, slot=slot, slots=2)
        loop.open()
        while loop.step():
            pass
    assert sorted(counting.handled + other.handled) == list(range(40))
    assert counting.handled
    assert other.handled
    for slot, part in enumerate((counting, other)):
        part.counts.clear()
        loop = TransactionalLoop(part.processor, bus, slot=slot, slots=2)
        loop.open()
        assert len(part.counts) == len(part.handled)


def test_an_output_that_no_topic_takes_is_a_dead_letter(
    unique: str, contract: Callable[..., Any]
) -> None:
    asked, answered = contract(), contract()
    loop, bus = in_memory(unique, {asked: lambda e: [answered(name="x" * e.body.n)]})
    sizes = [10, MAX_VALUE_BYTES + 1, 20]
    causes = [bus.publish(asked(name="a", n=n)) for n in sizes]
    loop.step()
    assert [len(e.body.name) for e in bus.events(answered)] == [10, 20]
    (dead,) = bus.messages(f"{unique}.dead")
    assert decode(dead).id == causes[1].id
    assert dict(dead.headers)["dead_error"] == b"TooLargeError"


def in_memory(
    service: str, handlers: dict[type[EventBody], Handler], *tables: Table[Any]
) -> tuple[TransactionalLoop, MemoryBus]:
    bus = MemoryBus()
    loop = TransactionalLoop(Processor(service, handlers, tables), bus, clock=bus.clock)
    loop.open()
    return loop, bus


def test_a_state_that_cannot_be_written_is_traced_to_its_message(
    unique: str, contract: Callable[..., Any]
) -> None:
    asked = contract()
    texts = Table.of("texts", str)

    def keep(event: Event[Any]) -> Iterable[EventBody]:
        texts.put("text", "x" * event.body.n)
        return ()

    loop, bus = in_memory(unique, {asked: keep}, texts)
    for n in (1, 2, MAX_VALUE_BYTES + 1):
        bus.publish(asked(name="a", n=n))
    assert loop.step() == 3
    assert texts["text"] == "xx"
    assert [m.value for m in bus.messages(f"{unique}.state")] == [b"1", b'"xx"']
    (dead,) = bus.messages(f"{unique}.dead")
    assert decode(dead).body.n == MAX_VALUE_BYTES + 1


def test_an_event_of_a_type_that_is_not_handled_is_passed_over(
    unique: str, contract: Callable[..., Any]
) -> None:
    asked, other = contract(), contract()
    loop, bus = in_memory(unique, {asked: lambda e: []})
    bus.append(Record(asked.topic(), b"k", encode(bus.publish(other(name="a"))).value, ()))
    bus.append(
        Record(asked.topic(), b"k", b'{"name":"a"}', encode(bus.publish(other(name="a"))).headers)
    )
    assert loop.step() == 2
    assert len(bus.messages(f"{unique}.dead")) == 1


def test_a_circle_of_events_ends(unique: str, contract: Callable[..., Any]) -> None:
    ping = contract()
    loop, bus = in_memory(unique, {ping: lambda e: [ping(name="a", n=e.body.n + 1)]})
    bus.publish(ping(name="a"))
    while loop.step():
        pass
    assert len(bus.events(ping)) == 101
    (dead,) = bus.messages(f"{unique}.dead")
    assert dict(dead.headers)["dead_error"] == b"TooManyHopsError"


def test_state_that_this_version_cannot_read_is_said_and_not_dropped(
    unique: str, contract: Callable[..., Any]
) -> None:
    asked = contract()
    bus = MemoryBus()
    bus.append(Record(f"{unique}.state", b"counts/a", b'"not a number"', partition=0))
    loop = TransactionalLoop(
        Processor(unique, {asked: lambda e: []}, [Table.of("counts", int)]), bus
    )
    with pytest.raises(FatalBusError, match=r"cannot read 'a' of table 'counts'"):
        loop.open()
    assert not loop.ready


def test_a_fenced_loop_ends(world: Any, counting: Counting) -> None:
    old = TransactionalLoop(counting.processor, world.bus)
    old.open()
    newer = world.bus.transactional(
        service=counting.processor.service, topics=counting.processor.topics
    )
    newer.open()
    world.publish(counting.asked(name="a"))
    with pytest.raises(FatalBusError):
        turn(old, 1)
    old.close()
    newer.close()
    assert counts_of(world, counting) == []


def test_the_metrics_count_what_was_committed_and_once(
    unique: str, contract: Callable[..., Any]
) -> None:
    counting = Counting(unique, contract)
    bus = MemoryBus()
    loop = TransactionalLoop(counting.processor, bus)
    loop.open()
    for _ in range(3):
        bus.publish(counting.asked(name="a"))
    bus.append(Record(counting.asked.topic(), None, b"poison"))
    bus.aborts = 1
    with pytest.raises(TransactionAbortedError):
        loop.step()
    loop.step()

    def value(name: str, **labels: str) -> float | None:
        return REGISTRY.get_sample_value(name, {"service": unique, **labels})

    assert value("tailrace_events_handled_total", type=counting.asked.type) == 3
    assert value("tailrace_events_published_total", type=counting.counted.type) == 3
    assert value("tailrace_events_published_total", type=f"{unique}.state") is None
    assert value("tailrace_dead_letters_total", error="UndecodableError") == 1


def test_what_a_handler_counts_is_counted_when_it_is_committed(
    unique: str, contract: Callable[..., Any]
) -> None:
    counting, counted = Counting(unique, contract), []
    bus = MemoryBus()

    def note(body: Any) -> None:
        when_committed(counted.append, body.n)
        if body.n == 1:
            raise ValueError("a bug")

    counting.before = note
    loop = TransactionalLoop(counting.processor, bus)
    loop.open()
    for n in range(3):
        bus.publish(counting.asked(name="a", n=n))
    bus.aborts = 1
    with pytest.raises(TransactionAbortedError):
        loop.step()
    assert counted == []
    loop.step()
    assert counted == [0, 2], "the dead letter counts no more than the aborted transaction"
    when_committed(counted.append, 7)
    assert counted == [0, 2, 7], "there is nothing to wait for"


def test_what_is_due_is_handled_and_committed_once_nothing_waits(
    counting: Counting,
) -> None:
    clock = FakeClock()
    bus = MemoryBus(clock)
    looks: list[datetime] = []

    def due(now: datetime) -> Iterable[Due]:
        looks.append(now)
        asked = Event(counting.asked(name="late", n=1), "/test", now, id=f"late-{len(looks)}")
        return [(asked, counting.count)]

    loop = TransactionalLoop(replace(counting.processor, due=due), bus, clock=clock)
    loop.open()
    bus.publish(counting.asked(name="a", n=1))
    assert loop.step() == 1
    assert looks == [], "the backlog comes first"
    assert loop.step() == loop.step() == 0
    assert len(looks) == 1
    clock.advance(LOOK)
    loop.step()
    assert len(looks) == 2
    assert [(e.body.name, e.body.n) for e in bus.events(counting.counted)] == [
        ("a", 1),
        ("late", 1),
        ("late", 2),
    ]
    assert bus.events(counting.counted)[1].id == derived_id("late-1", counting.counted.type)
    assert len(bus.messages(counting.processor.state_topic)) == 1 + 3, "its format, and values"


def test_what_is_due_and_fails_leaves_the_rest_as_it_is(
    counting: Counting, caplog: pytest.LogCaptureFixture
) -> None:
    clock = FakeClock()
    bus = MemoryBus(clock)

    def refuse(body: Any) -> None:
        if body.n == 2:
            raise ValueError("no")

    counting.before = refuse

    def due(now: datetime) -> Iterable[Due]:
        for n in (1, 2, 3):
            yield Event(counting.asked(name="x", n=n), "/test", now), counting.count

    loop = TransactionalLoop(replace(counting.processor, due=due), bus, clock=clock)
    loop.open()
    loop.step()
    assert counting.counts.get("x") == 2
    assert "what is due" in caplog.text
    bus.aborts = 1
    clock.advance(LOOK)
    with pytest.raises(TransactionAbortedError):
        loop.step()
    assert counting.counts.get("x") == 2


def test_who_cannot_say_what_is_due_goes_on(
    counting: Counting, caplog: pytest.LogCaptureFixture
) -> None:
    def due(now: datetime) -> Iterable[Due]:
        yield Event(counting.asked(name="x", n=1), "/test", now), counting.count
        raise KeyError("gone")

    bus = MemoryBus()
    loop = TransactionalLoop(replace(counting.processor, due=due), bus)
    loop.open()
    loop.step()
    assert len(bus.events(counting.counted)) == 1
    assert "what is due cannot be said" in caplog.text


def test_fault_3_6_what_is_rebuilt_is_committed_with_the_first_batch_and_outlives_an_abort(
    unique: str, contract: Callable[..., Any]
) -> None:
    counting, bus, calls = Counting(unique, contract), MemoryBus(), []

    def rebuild() -> None:
        calls.append(1)
        counting.counts.put("a", 7)

    def loop() -> TransactionalLoop:
        return TransactionalLoop(replace(counting.processor, rebuild=rebuild), bus)

    first = loop()
    first.open()
    bus.publish(counting.asked(name="a"))
    bus.aborts = 1
    with pytest.raises(TransactionAbortedError):
        first.step()
    assert counting.counts["a"] == 7
    turn(first, 1)
    first.close()
    again = loop()
    again.open()
    assert (counting.counts["a"], len(calls)) == (8, 1), "a state that is there is not rebuilt"
    again.close()


def test_fault_2_4_a_state_says_its_format_and_that_of_a_later_release_is_refused(
    counting: Counting, world: Any
) -> None:
    def of_format(number: int) -> TransactionalLoop:
        return TransactionalLoop(replace(counting.processor, state_format=number), world.bus)

    for number in (1, 2, 2):
        loop = of_format(number)
        loop.open()
        world.publish(counting.asked(name="a"))
        turn(loop, 1)
        loop.close()
    assert counts_of(world, counting) == [("a", 1), ("a", 2), ("a", 3)]
    written = world.messages(counting.processor.state_topic)
    assert [m.value for m in written if m.key == b"format/number"] == [b"1", b"2"], (
        "when it changes"
    )
    loop = of_format(1)
    with pytest.raises(FatalBusError, match=r"has the format 2, and .* knows those up to 1"):
        loop.open()
    loop.close()
