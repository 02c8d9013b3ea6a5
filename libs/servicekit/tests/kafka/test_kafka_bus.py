"""What only a real broker can show: crashes, restarts, fencing, full queues, missing brokers."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from local.broker import broker
from local.process import free_port
from servicekit.bus import Record
from servicekit.clock import FakeClock
from servicekit.cloudevents import decode, encode
from servicekit.errors import FatalBusError, OverloadedError, TooLargeError, UnavailableError
from servicekit.event import Event
from servicekit.kafka import KafkaBus
from servicekit.kafka.topic_layout import TopicLayout
from servicekit.loops.backoff import Backoff
from servicekit.loops.transactional import TransactionalLoop
from servicekit.processor import Processor
from servicekit.table import Table

pytestmark = pytest.mark.integration

CHILD = Path(__file__).parents[1] / "children" / "counting.py"


def eventually(condition: Callable[[], Any], seconds: float = 30.0) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "it did not come about in time"
        time.sleep(0.01)


def test_a_process_that_is_killed_twice_counts_each_message_once(
    kafka_world: Any,
    kafka_bootstrap: str,
    unique: str,
    contract: Callable[..., Any],
    tmp_path: Path,
) -> None:
    asked, counted = contract(), contract()
    total = 5000 if os.environ.get("TEST_BROKER") == "apache" else 2000
    kafka_world.publish(*(asked(name=f"k{n % 7}", n=n) for n in range(total)))
    view = kafka_world.bus.view(counted.topic())
    seen: list[int] = []

    def counts(enough: int) -> bool:
        seen.extend(decode(message).body.n for message in view.poll(0.02))
        return len(seen) >= enough

    for life in range(3):
        words = tmp_path / f"{life}.log"
        with words.open("wb") as log:
            child = subprocess.Popen(
                [sys.executable, str(CHILD), kafka_bootstrap, unique, asked.type, counted.type],
                env={
                    name: os.environ[name] for name in ("PATH", "TEST_BROKER") if name in os.environ
                },
                stdout=log,
                stderr=log,
            )
        try:
            target = total if life == 2 else len(seen) + 200
            eventually(
                lambda target=target, child=child: counts(target) or child.poll() is not None, 60
            )
            assert len(seen) >= target, words.read_text()
        finally:
            child.kill()
            child.wait()
        assert life == 2 or len(seen) < total, "it was killed too late to show anything"
    view.close()
    assert sorted(seen) == list(range(total))
    assert sorted(body.n for body in kafka_world.bodies(counted)) == list(range(total))

    totals = Table.of("totals", int)
    loop = TransactionalLoop(
        Processor(unique, {asked: lambda event: ()}, [totals]), kafka_world.bus
    )
    loop.open()
    assert loop.step() == 0
    loop.close()
    assert dict(totals.items()) == {f"k{k}": sum(range(k, total, 7)) for k in range(7)}


def create(bootstrap: str, name: str, partitions: int) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap})
    admin.create_topics([NewTopic(name, partitions, 1)])[name].result()
    eventually(lambda: name in admin.list_topics(timeout=5).topics)


def test_slots_share_the_partitions_and_keep_their_own_state(
    kafka_world: Any, kafka_bootstrap: str, unique: str, contract: Callable[..., Any]
) -> None:
    asked = contract()
    create(kafka_bootstrap, asked.topic(), 3)  # and an existing topic is left as it is
    kafka_world.publish(*(asked(name=f"k{n}", n=n) for n in range(60)))
    partitions = {
        message.key.decode(): message.partition for message in kafka_world.messages(asked.topic())
    }
    assert set(partitions.values()) == {0, 1, 2}
    of_slot = [{key for key, p in partitions.items() if p % 2 == slot} for slot in range(2)]
    for _ in range(2):  # the second time, from what the first left behind
        for slot in range(2):
            table = Table.of("seen", int)

            def see(event: Event[Any], table: Table[int] = table) -> Any:
                table.put(event.body.name, event.body.n)
                return ()

            loop = TransactionalLoop(
                Processor(unique, {asked: see}, [table]), kafka_world.bus, slot=slot, slots=2
            )
            loop.open()

            def finished(loop: Any = loop, table: Any = table, slot: int = slot) -> bool:
                return not loop.step() and {name for name, _ in table.items()} >= of_slot[slot]

            eventually(finished)
            loop.close()
            assert set(dict(table.items())) == of_slot[slot]


def test_another_number_of_slots_than_the_state_has_is_refused(
    kafka_world: Any, unique: str, contract: Callable[..., Any]
) -> None:
    asked = contract()
    one = kafka_world.bus.transactional(service=unique, topics=[asked.topic()])
    one.open()
    one.close()
    two = kafka_world.bus.transactional(service=unique, topics=[asked.topic()], slot=1, slots=2)
    with pytest.raises(FatalBusError, match="made for 1 slots, but there are to be 2"):
        two.open()


def test_a_slot_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match="slot 2 of 2 does not exist"):
        KafkaBus("127.0.0.1:1").transactional(service="s", topics=[], slot=2, slots=2)


def test_topics_are_made_as_their_contracts_say(
    kafka_bootstrap: str, unique: str, contract: Callable[..., Any]
) -> None:
    asked = contract(is_compacted=True)
    bus = KafkaBus(kafka_bootstrap, layout=TopicLayout(partitions=2))
    for _ in range(2):
        session = bus.transactional(service=unique, topics=[asked.topic()])
        session.open()
        session.close()
    topics = AdminClient({"bootstrap.servers": kafka_bootstrap}).list_topics(timeout=5).topics
    found = {name: len(topics[name].partitions) for name in topics}
    assert found[asked.topic()] == found[f"{unique}.state"] == found[f"{unique}.dead"] == 1
    assert {"prediction.logged", "rollout.step", "label.arrived"} <= found.keys()


@pytest.fixture
def fresh_broker(tmp_path: Path) -> Iterator[str]:
    """A broker without any topic."""
    with broker(tmp_path / "fresh") as bootstrap:
        yield bootstrap


def test_a_sender_makes_the_topics_of_the_contracts_before_any_reader_is_there(
    fresh_broker: str,
) -> None:
    sender = KafkaBus(fresh_broker).sender()
    topics = AdminClient({"bootstrap.servers": fresh_broker})
    try:
        eventually(lambda: "rollout.step" in topics.list_topics(timeout=5).topics, 10)
    finally:
        sender.close(5)


@pytest.fixture
def address() -> str:
    return f"127.0.0.1:{free_port()}"


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


@pytest.fixture
def sender(address: str) -> Iterator[Any]:
    """A sender whose broker is not there."""
    bus = KafkaBus(address, request_seconds=0.3, sender_queue=10, sender_delivery_seconds=1.0)
    sender = bus.sender()
    yield sender
    sender.close(0)


def test_a_full_queue_is_overload_and_every_record_gets_its_answer(sender: Any) -> None:
    futures = [sender.send(Record("t", b"k", b"v")) for _ in range(10)]
    with pytest.raises(OverloadedError, match="10 records wait for Kafka"):
        sender.send(Record("t", b"k", b"v"))
    for future in futures:
        assert isinstance(future.exception(timeout=15), UnavailableError)


def test_a_closed_sender_says_what_it_left_and_takes_no_more(sender: Any) -> None:
    future = sender.send(Record("t", b"k", b"v"))
    assert sender.close(0.1) == 1
    assert isinstance(future.exception(timeout=5), UnavailableError)
    with pytest.raises(OverloadedError, match="closed"):
        sender.send(Record("t", b"k", b"v"))


def test_a_record_larger_than_any_topic_takes_is_refused_and_the_next_is_sent(
    kafka_world: Any, contract: Callable[..., Any]
) -> None:
    topic = contract().topic()
    kafka_world.make(topic)
    sender = kafka_world.bus.sender()
    with pytest.raises(TooLargeError, match="too large"):
        sender.send(Record(topic, b"k", b"x" * 3_000_000))
    with pytest.raises(TooLargeError, match="too large"):
        sender.send(Record(topic, b"k", os.urandom(1_500_000))).result(15)
    sender.send(Record(topic, b"k", b"v")).result(15)
    sender.close(5)
    assert [message.value for message in kafka_world.messages(topic)] == [b"v"]


def test_services_may_start_before_their_broker_and_outlive_its_restart(
    address: str, tmp_path: Path, unique: str, contract: Callable[..., Any]
) -> None:
    asked = contract()
    bus = KafkaBus(address, request_seconds=1.0)
    seen: list[int] = []

    def see(event: Event[Any]) -> Any:
        seen.append(event.body.n)
        return ()

    loop = TransactionalLoop(
        Processor(unique, {asked: see}), bus, backoff=Backoff(base=0.05, cap=0.2)
    )
    sender = bus.sender()
    stop, failures = threading.Event(), []

    def turn() -> None:
        try:
            loop.run(stop)
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=turn)
    thread.start()
    try:
        for n in range(2):
            with broker(tmp_path, port_of(address)):
                # Again and again, for a killed broker forgets: a message may take the offset of
                # one that was read before.
                eventually(
                    lambda n=n: failures or (taken(sender, asked(name="a", n=n)) and n in seen)
                )
    finally:
        stop.set()
        thread.join(30)
        sender.close(0)
    assert not failures
    assert not thread.is_alive()
    assert sorted(set(seen)) == [0, 1]


def taken(sender: Any, body: Any) -> bool:
    """Send an event; whether a broker took it."""
    event = Event(body=body, source="/test", time=FakeClock().now())
    try:
        sender.send(encode(event)).result(15)
    except UnavailableError:
        return False
    return True


def test_an_open_without_a_broker_is_an_outage(address: str, unique: str) -> None:
    bus = KafkaBus(address, request_seconds=0.3)
    for session in (
        bus.transactional(service=unique, topics=["t"]),
        bus.group(group=unique, topics=["t"], member="0"),
    ):
        with pytest.raises(UnavailableError):
            session.open()
        session.close()
    view = bus.view("t")
    with pytest.raises(UnavailableError):
        view.poll(0.1)
    assert not view.caught_up
    view.close()
