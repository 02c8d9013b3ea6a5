"""What docs/delivery.md promises, where only a real broker can break it."""

import contextlib
import os
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from event_schemas import EventBody
from local.broker import broker
from local.process import free_port
from servicekit.bus import Message, Record
from servicekit.clock import FakeClock
from servicekit.cloudevents import decode, encode
from servicekit.errors import TransactionAbortedError, UnavailableError
from servicekit.event import Event
from servicekit.kafka import KafkaBus
from servicekit.loops.backoff import Backoff
from servicekit.loops.transactional import TransactionalLoop
from servicekit.processor import Processor
from servicekit.table import Table

pytestmark = pytest.mark.integration

SOON = Backoff(base=0.01, cap=0.1)
apache_only = pytest.mark.skipif(
    os.environ.get("TEST_BROKER") != "apache",
    reason="the embedded broker forgets what it acknowledged, and does not rebalance (ADR 2)",
)


def until(happened: Callable[[], Any], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "it did not happen"


def test_an_aborted_transaction_shows_nothing_and_the_next_one_is_whole(
    kafka_world: Any, contract: Callable[..., Any], unique: str
) -> None:
    asked, output = contract().topic(), contract().topic()
    kafka_world.put(*(Record(asked, b"k", b"%d" % n) for n in range(3)))
    kafka_world.make(output)
    session = kafka_world.bus.transactional(service=unique, topics=[asked])
    session.open()
    batch: list[Message] = []
    until(lambda: batch.extend(session.poll(3 - len(batch), 0.1)) or len(batch) == 3)
    positions = {(asked, 0): 3}
    nowhere = Record(output, b"k", b"nowhere", partition=99)
    with pytest.raises(TransactionAbortedError):
        session.commit([Record(output, b"k", b"aborted"), nowhere], positions)
    assert kafka_world.messages(output) == []

    session.rewind()
    again: list[Message] = []
    until(lambda: again.extend(session.poll(3 - len(again), 0.1)) or len(again) == 3)
    assert [m.offset for m in again] == [0, 1, 2]
    session.commit([Record(output, b"k", b"whole")], positions)
    session.close()
    assert [m.value for m in kafka_world.messages(output)] == [b"whole"]


def test_a_reader_that_comes_after_an_abort_misses_nothing(
    kafka_world: Any, kafka_bootstrap: str, contract: Callable[..., Any], unique: str
) -> None:
    output = contract().topic()
    kafka_world.make(output)
    session = kafka_world.bus.transactional(service=unique, topics=[])
    killed = Producer({"bootstrap.servers": kafka_bootstrap, "transactional.id": f"{unique}-0"})
    killed.init_transactions(10)
    killed.begin_transaction()
    killed.produce(output, b"left open", b"k")
    assert killed.flush(10) == 0
    reader = Consumer({"bootstrap.servers": kafka_bootstrap, "group.id": unique})
    try:
        for life in (b"second", b"third"):
            session.open()
            end = reader.get_watermark_offsets(TopicPartition(output, 0), timeout=10)[1]
            session.commit([Record(output, b"k", life)], {})
            reader.assign([TopicPartition(output, 0, end)])
            found = reader.poll(10)
            assert found is not None, f"what the {life.decode()} wrote was not read"
            assert found.value() == life
    finally:
        reader.close()
        session.close()


def test_the_order_of_a_key_outlives_outages_and_aborts(
    kafka_world: Any, contract: Callable[..., Any], unique: str
) -> None:
    asked, told = contract(), contract()
    total, keys = 60, 4
    kafka_world.publish(*(asked(name=f"k{n % keys}", n=n) for n in range(total)))
    failed: set[int] = set()

    def tell(event: Event[Any]) -> Iterable[EventBody]:
        if event.body.n % 13 == 5 and event.body.n not in failed:
            failed.add(event.body.n)
            raise UnavailableError("a store is away")
        yield told(name=event.body.name, n=event.body.n)

    loop = TransactionalLoop(Processor(unique, {asked: tell}), kafka_world.bus, max_batch=7)
    loop.open()
    done = 0

    def turned() -> bool:
        nonlocal done
        with contextlib.suppress(UnavailableError):
            done += loop.step()
        return done >= total

    until(turned)
    loop.close()
    assert len(failed) == 5
    order: dict[str, list[int]] = defaultdict(list)
    for body in kafka_world.bodies(told):
        order[body.name].append(body.n)
    assert order == {f"k{k}": list(range(k, total, keys)) for k in range(keys)}


@apache_only
@pytest.mark.timeout(240)
def test_a_broker_that_is_killed_during_commits_loses_and_repeats_nothing(
    tmp_path: Path, contract: Callable[..., Any], unique: str
) -> None:
    asked, told = contract(), contract()
    total, port = 4000, free_port()
    totals = Table.of("totals", int)

    def count(event: Event[Any]) -> Iterable[EventBody]:
        name = event.body.name
        totals.put(name, (totals.get(name) or 0) + 1)
        yield told(name=name, n=event.body.n)

    bus = KafkaBus(f"127.0.0.1:{port}", request_seconds=2.0)
    processor = Processor(unique, {asked: count}, [totals])
    loop = TransactionalLoop(processor, bus, max_batch=10, backoff=SOON)
    stop, failures, seen = threading.Event(), [], []

    def run() -> None:
        try:
            loop.run(stop)
        except BaseException as error:
            failures.append(error)

    def progress(enough: int) -> bool:
        assert not failures, failures
        try:
            seen.extend(decode(m).body.n for m in view.poll(0.05))
        except UnavailableError:
            seen.clear()  # it starts over
        return len(seen) >= enough

    view = bus.view(told.topic())
    thread = threading.Thread(target=run)
    try:
        for life in range(3):
            with broker(tmp_path, port):
                if not life:
                    view.poll(0)
                    ready = bus.view(asked.topic())
                    ready.poll(0)
                    ready.close()
                    sender = bus.sender()
                    now = FakeClock().now()
                    bodies = (asked(name=f"k{n % 7}", n=n) for n in range(total))
                    events = [encode(Event(body=b, source="/t", time=now)) for b in bodies]
                    for future in [sender.send(event) for event in events]:
                        future.result(30)
                    sender.close(5)
                    thread.start()
                until(lambda life=life: progress(total if life == 2 else 400 * (life + 1)), 90)
                assert life == 2 or len(seen) < total, "it was killed too late to show anything"
            if life < 2:
                seen.clear()
                view.close()
                view = bus.view(told.topic())
    finally:
        stop.set()
        thread.join(60)
        view.close()
    assert sorted(seen) == list(range(total))
    assert sum(value for _, value in totals.items()) == total


@apache_only
def test_a_member_that_joins_takes_partitions_and_nothing_is_skipped(
    kafka_bootstrap: str, kafka_world: Any, contract: Callable[..., Any], unique: str
) -> None:
    topic = contract().topic()
    admin = AdminClient({"bootstrap.servers": kafka_bootstrap})
    for made in admin.create_topics([NewTopic(topic, 2, 1)]).values():
        made.result(20)
    bus = kafka_world.bus
    for partition in range(2):
        for n in range(10):
            kafka_world.put(Record(topic, b"k", b"%d" % n, partition=partition))
    first = bus.group(group=unique, topics=[topic], member="0")
    second = bus.group(group=unique, topics=[topic], member="1")
    read: list[Message] = []
    try:
        first.open()
        until(lambda: read.extend(first.poll(100, 0.1)) or len(read) == 20)
        # In the middle of its batch: half of it is done when another member comes.
        first.commit({(topic, 0): 5, (topic, 1): 5})
        second.open()
        moved: list[Message] = []
        kept: list[Message] = []
        until(
            lambda: (
                kept.extend(first.poll(100, 0.1)) or moved.extend(second.poll(100, 0.1)) or moved
            )
        )
        (partition,) = {m.partition for m in moved}
        until(
            lambda: (
                kept.extend(first.poll(100, 0.05))
                or moved.extend(second.poll(100, 0.05))
                or len(moved) >= 5
            )
        )
        assert [m.offset for m in moved] == [5, 6, 7, 8, 9]
        # Cooperative: the partition that stayed was not interrupted, so nothing of it came again.
        assert kept == []
        first.commit({(topic, 1 - partition): 10})
        second.commit({(topic, partition): 10})

        # Static: the member that starts anew has its own partition back.
        second.close()
        second.open()
        kafka_world.put(*(Record(topic, b"k", b"new", partition=p) for p in range(2)))
        new: dict[str, list[Message]] = {"first": [], "second": []}
        until(
            lambda: (
                new["first"].extend(first.poll(100, 0.05))
                or new["second"].extend(second.poll(100, 0.05))
                or sum(map(len, new.values())) == 2
            )
        )
        assert {m.partition for m in new["second"]} == {partition}
        assert {m.offset for m in new["first"] + new["second"]} == {10}
    finally:
        first.close()
        second.close()
