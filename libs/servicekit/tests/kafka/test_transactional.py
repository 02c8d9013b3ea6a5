"""A slot's place in its topics outlives what the brokers do to it, or is not guessed."""

from collections.abc import Callable
from typing import Any

import pytest
from confluent_kafka import Consumer, TopicPartition

from servicekit.bus import Record
from servicekit.errors import FatalBusError
from servicekit.event import Event
from servicekit.kafka import transactional
from servicekit.loops.transactional import TransactionalLoop
from servicekit.processor import Processor
from servicekit.table import Table

pytestmark = pytest.mark.integration


@pytest.fixture
def group(kafka_bootstrap: str, unique: str) -> Any:
    """A client with the rights of the slot's group, as an administrator has them."""
    client = Consumer({"bootstrap.servers": kafka_bootstrap, "group.id": unique})
    yield client
    client.close()


def place_of(group: Consumer, topic: str) -> int:
    (place,) = group.committed([TopicPartition(topic, 0)], timeout=30)
    return place.offset


@pytest.mark.parametrize("idle", [True, False])
def test_an_offset_is_committed_again_before_the_brokers_forget_it(
    kafka_world: Any,
    group: Consumer,
    unique: str,
    contract: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    idle: bool,
) -> None:
    quiet, busy = contract().topic(), contract().topic()
    session = kafka_world.bus.transactional(service=unique, topics=[quiet, busy])
    session.open()
    session.commit([], {(quiet, 0): 5})
    # The brokers forget nothing in a test: that it was committed again shows in what it undoes.
    group.commit(offsets=[TopicPartition(quiet, 0, 3)], asynchronous=False)
    session.commit([], {(busy, 0): 1})
    assert place_of(group, quiet) == 3, "it is not committed with every transaction"
    monkeypatch.setattr(transactional.time, "monotonic", _later(transactional.KEEP_SECONDS + 1))
    if idle:
        session.poll(1, 0)
    else:
        session.commit([], {(busy, 0): 2})
    monkeypatch.undo()
    session.close()
    assert place_of(group, quiet) == 5
    assert place_of(group, busy) == (1 if idle else 2)


def _later(seconds: float) -> Callable[[], float]:
    now = transactional.time.monotonic
    return lambda: now() + seconds


def test_a_state_whose_place_is_gone_is_not_counted_again(
    kafka_world: Any, unique: str, contract: Callable[..., Any]
) -> None:
    asked = contract()
    kafka_world.publish(asked(name="a"))
    # What a service leaves that was down for longer than the brokers remember offsets.
    kafka_world.bus._topics.ensure_state(f"{unique}.state", 1)
    kafka_world.put(Record(f"{unique}.state", b"totals/a", b"1", partition=0))

    def count(event: Event[Any]) -> Any:
        raise AssertionError("it was read")

    processor = Processor(unique, {asked: count}, [Table.of("totals", int)])
    loop = TransactionalLoop(processor, kafka_world.bus)
    with pytest.raises(FatalBusError, match=r"no longer know how far .* say where .* --from"):
        loop.open()
    loop.close()
