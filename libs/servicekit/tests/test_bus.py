"""What every bus promises, asked of the one in memory and of Kafka's."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from servicekit.bus import Message, Record
from servicekit.errors import FatalBusError, UnavailableError
from servicekit.start import Start

Ready = Callable[..., Any]


def drain(poll: Callable[[int, float], list[Message]], count: int) -> list[Message]:
    """Poll until `count` messages have come."""
    found: list[Message] = []
    until = time.monotonic() + 15
    while len(found) < count:
        assert time.monotonic() < until, f"only {len(found)} of {count} messages came"
        found += poll(100, 0.2)
    return found


def values(messages: list[Message]) -> list[bytes | None]:
    return [message.value for message in messages]


@pytest.fixture
def topic(contract: Ready) -> str:
    return contract().topic()


def fill(world: Any, topic: str, count: int, start: int = 0) -> None:
    world.put(*(Record(topic, b"k", b"%d" % n) for n in range(start, start + count)))


def after(messages: list[Message]) -> dict[tuple[str, int], int]:
    return {(m.topic, m.partition): m.offset + 1 for m in messages}


def between(world: Any, messages: list[Message]) -> datetime:
    """A moment after these messages were taken, and before any that follow."""
    last = max(message.timestamp_ms for message in messages)
    moment = datetime.fromtimestamp(last / 1000, UTC) + timedelta(milliseconds=1)
    if world.kind == "memory":
        world.bus.clock.advance(timedelta(milliseconds=2))
    while world.kind == "kafka" and datetime.now(UTC) <= moment:
        time.sleep(0.001)
    return moment


def stands(session: Any, at: Any) -> list[tuple[int | None, int]]:
    return [(offset.committed, offset.target) for offset in session.offsets(Start(at))]


class TestTransactionalSession:
    def test_it_reads_what_was_written_with_key_value_and_headers(
        self, world: Any, topic: str, unique: str
    ) -> None:
        session = world.bus.transactional(service=unique, topics=[topic])
        session.open()
        world.put(Record(topic, b"key", b"value", (("a", b"1"), ("b", b"\xff"))))
        (message,) = drain(session.poll, 1)
        session.close()
        assert (message.key, message.value) == (b"key", b"value")
        assert message.headers == (("a", b"1"), ("b", b"\xff"))
        assert (message.topic, message.partition, message.offset) == (topic, 0, 0)

    def test_it_hands_out_no_more_than_was_asked_for(
        self, world: Any, topic: str, unique: str
    ) -> None:
        fill(world, topic, 7)
        session = world.bus.transactional(service=unique, topics=[topic])
        session.open()
        first = drain(lambda _, timeout: session.poll(3, timeout), 3)
        rest = drain(lambda _, timeout: session.poll(3, timeout), 4)
        session.close()
        assert values(first + rest) == [b"%d" % n for n in range(7)]
        assert len(first) == 3

    def test_it_reads_topics_in_the_order_in_which_they_were_written(
        self, world: Any, unique: str, contract: Ready
    ) -> None:
        topics = [contract().topic() for _ in range(3)]
        for number in range(12):
            fill(world, topics[number % 2], 20, start=20 * number)
            world.pass_time()
        session = world.bus.transactional(service=unique, topics=topics)
        session.open()
        first = drain(lambda _, timeout: session.poll(7, timeout), 105)
        session.commit([], after(first[:63]))
        session.rewind()
        rest = drain(session.poll, 240 - 63)
        session.close()
        # A batch may be short, so that the last one goes past what was asked for.
        assert values(first) == [b"%d" % n for n in range(len(first))]
        assert values(rest) == [b"%d" % n for n in range(63, 240)]

    def test_outputs_state_and_offsets_appear_together(
        self, world: Any, topic: str, unique: str, contract: Ready
    ) -> None:
        output = contract().topic()
        fill(world, topic, 3)
        session = world.bus.transactional(service=unique, topics=[topic])
        session.open()
        batch = drain(session.poll, 3)
        session.commit(
            [Record(output, b"k", b"made"), Record(f"{unique}.state", b"t/k", b"1", partition=0)],
            after(batch),
        )
        assert values(world.messages(output)) == [b"made"]
        session.close()

        again = world.bus.transactional(service=unique, topics=[topic])
        again.open()
        assert [(m.key, m.value) for m in again.restore()] == [(b"t/k", b"1")]
        fill(world, topic, 1, start=3)
        assert values(drain(again.poll, 1)) == [b"3"]
        again.close()

    def test_a_transaction_without_messages_is_fine(
        self, world: Any, topic: str, unique: str, contract: Ready
    ) -> None:
        output = contract().topic()
        session = world.bus.transactional(service=unique, topics=[topic])
        session.open()
        session.commit([Record(output, None, b"made")], {})
        session.commit([], {})
        session.close()
        assert values(world.messages(output)) == [b"made"]

    def test_what_was_not_committed_comes_again_after_a_rewind(
        self, world: Any, topic: str, unique: str
    ) -> None:
        fill(world, topic, 5)
        session = world.bus.transactional(service=unique, topics=[topic])
        session.open()
        batch = drain(session.poll, 5)
        session.commit([], after(batch[:2]))
        session.rewind()
        assert values(drain(session.poll, 3)) == [b"2", b"3", b"4"]
        session.rewind()
        session.rewind()
        assert values(drain(session.poll, 3)) == [b"2", b"3", b"4"]
        session.close()

    def test_what_was_not_committed_comes_again_in_the_next_session(
        self, world: Any, topic: str, unique: str
    ) -> None:
        fill(world, topic, 5)
        session = world.bus.transactional(service=unique, topics=[topic])
        session.open()
        session.commit([], after(drain(session.poll, 5)[:2]))
        session.close()
        session.close()
        session.open()
        assert values(drain(session.poll, 3)) == [b"2", b"3", b"4"]
        session.close()

    def test_a_newer_session_of_the_slot_fences_the_older(
        self, world: Any, topic: str, unique: str, contract: Ready
    ) -> None:
        output = contract().topic()
        fill(world, topic, 1)
        old = world.bus.transactional(service=unique, topics=[topic])
        old.open()
        batch = drain(old.poll, 1)
        new = world.bus.transactional(service=unique, topics=[topic])
        new.open()
        with pytest.raises(FatalBusError):
            old.commit([Record(output, b"k", b"from the old one")], after(batch))
        assert values(drain(new.poll, 1)) == [b"0"]
        new.commit([Record(output, b"k", b"from the new one")], after(batch))
        assert values(world.messages(output)) == [b"from the new one"]
        old.close()
        new.close()

    def test_state_is_restored_in_the_order_of_writing_with_deletions(
        self, world: Any, topic: str, unique: str
    ) -> None:
        session = world.bus.transactional(service=unique, topics=[topic])
        session.open()
        for value in (b"1", b"2", None):
            session.commit([Record(f"{unique}.state", b"t/a", value, partition=0)], {})
        session.commit([Record(f"{unique}.state", b"t/b", b"3", partition=0)], {})
        session.close()
        session.open()
        restored = {message.key: message.value for message in session.restore()}
        session.close()
        assert restored == {b"t/a": None, b"t/b": b"3"}

    def test_a_session_that_is_not_open_is_an_outage_and_not_silence(
        self, world: Any, topic: str, unique: str
    ) -> None:
        with pytest.raises(UnavailableError):
            world.bus.transactional(service=unique, topics=[topic]).poll(1, 0)

    def test_it_tells_where_it_stands_and_where_a_start_is(
        self, world: Any, topic: str, unique: str
    ) -> None:
        fill(world, topic, 3)
        session = world.bus.transactional(service=unique, topics=[topic])
        session.open()
        assert session.never_committed
        assert stands(session, "earliest") == [(None, 0)]
        old = drain(session.poll, 3)
        moment = between(world, old)
        fill(world, topic, 2, start=3)
        session.commit([], after(old[:2]))
        assert stands(session, moment) == [(2, 3)]
        assert stands(session, "latest")[0] == (2, 5)
        assert stands(session, moment + timedelta(days=1))[0] == (2, 5)
        session.close()
        session.open()
        assert not session.never_committed
        session.close()


class TestGroupSession:
    def test_fault_2_1_what_was_assigned_is_told_once_and_again_after_an_open(
        self, world: Any, topic: str, unique: str
    ) -> None:
        fill(world, topic, 2)
        session = world.bus.group(group=unique, topics=[topic], member="0")
        for _ in range(2):
            session.open()
            assert values(drain(session.poll, 2)) == [b"0", b"1"]
            assert set(session.taken_over()) == {(topic, 0)}
            assert not session.taken_over()
            session.close()

    def test_it_goes_on_after_what_was_committed(self, world: Any, topic: str, unique: str) -> None:
        fill(world, topic, 5)
        session = world.bus.group(group=unique, topics=[topic], member="0")
        session.open()
        session.commit(after(drain(session.poll, 5)[:3]))
        session.close()
        session = world.bus.group(group=unique, topics=[topic], member="0")
        session.open()
        assert values(drain(session.poll, 2)) == [b"3", b"4"]
        session.close()

    def test_what_was_not_committed_comes_again_after_a_rewind(
        self, world: Any, topic: str, unique: str
    ) -> None:
        fill(world, topic, 4)
        session = world.bus.group(group=unique, topics=[topic], member="0")
        session.open()
        session.commit(after(drain(session.poll, 4)[:1]))
        session.rewind()
        assert values(drain(session.poll, 3)) == [b"1", b"2", b"3"]
        session.close()

    def test_publish_returns_when_the_records_can_be_read(
        self, world: Any, topic: str, unique: str, contract: Ready
    ) -> None:
        output = contract().topic()
        session = world.bus.group(group=unique, topics=[topic], member="0")
        session.open()
        session.publish([Record(output, b"k", b"%d" % n) for n in range(50)])
        assert values(world.messages(output)) == [b"%d" % n for n in range(50)]
        session.publish([])
        session.close()

    def test_a_paused_member_gets_nothing_and_misses_nothing(
        self, world: Any, topic: str, unique: str
    ) -> None:
        fill(world, topic, 5)
        session = world.bus.group(group=unique, topics=[topic], member="0")
        session.open()
        (first,) = drain(lambda _, timeout: session.poll(1, timeout), 1)
        session.pause()
        assert [session.poll(10, 0.02) for _ in range(5)] == [[]] * 5
        session.resume()
        rest = drain(session.poll, 4)
        session.close()
        assert values([first, *rest]) == [b"%d" % n for n in range(5)]

    def test_it_tells_where_it_stands_and_where_a_start_is(
        self, world: Any, topic: str, unique: str
    ) -> None:
        fill(world, topic, 3)
        session = world.bus.group(group=unique, topics=[topic], member="0")
        session.open()
        old = drain(session.poll, 3)
        assert stands(session, "earliest") == [(None, 0)]
        moment = between(world, old)
        fill(world, topic, 2, start=3)
        session.commit(after(old[:2]))
        assert stands(session, moment) == [(2, 3)]
        assert stands(session, "latest")[0] == (2, 5)
        assert stands(session, moment + timedelta(days=1))[0] == (2, 5)
        session.close()


class TestSender:
    def test_an_acknowledged_record_can_be_read(self, world: Any, topic: str) -> None:
        world.make(topic)
        sender = world.bus.sender()
        for future in [sender.send(Record(topic, b"k", b"%d" % n)) for n in range(100)]:
            future.result(timeout=10)
        assert values(world.messages(topic)) == [b"%d" % n for n in range(100)]
        assert sender.close(5) == 0

    def test_a_polled_one_tells_its_caller_and_leaves_nothing_at_its_end(
        self, world: Any, topic: str
    ) -> None:
        world.make(topic)
        sender = world.bus.sender(polled=True)
        heard: list[int] = []
        first = sender.send(Record(topic, b"k", b"0"))
        first.add_done_callback(lambda _: heard.append(threading.get_ident()))
        until = time.monotonic() + 10
        while not first.done():
            sender.poll()
            assert time.monotonic() < until
        assert heard == [threading.get_ident()]
        last = sender.send(Record(topic, b"k", b"1"))
        assert sender.close(5) == 0
        assert last.result(timeout=0) is None
        assert values(world.messages(topic)) == [b"0", b"1"]


class TestTopicView:
    def test_it_has_caught_up_when_all_that_was_there_was_handed_out(
        self, world: Any, topic: str
    ) -> None:
        fill(world, topic, 3)
        view = world.bus.view(topic)
        found = []
        until = time.monotonic() + 10
        while not view.caught_up or not found:
            found += view.poll(0.2)
            assert time.monotonic() < until
        assert values(found) == [b"0", b"1", b"2"]
        fill(world, topic, 1, start=3)
        assert values(drain(lambda _, timeout: view.poll(timeout), 1)) == [b"3"]
        view.close()
        view.close()

    def test_an_empty_topic_is_caught_up_with(self, world: Any, topic: str) -> None:
        assert world.messages(topic) == []

    def test_a_tombstone_is_a_message_without_a_value(self, world: Any, topic: str) -> None:
        world.put(Record(topic, b"k", b"1"), Record(topic, b"k", None))
        assert [(m.key, m.value) for m in world.messages(topic)] == [(b"k", b"1"), (b"k", None)]
