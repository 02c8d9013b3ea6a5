"""How far a loop is behind, and how long its batches take, as Prometheus hears it."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import REGISTRY

from servicekit.loops import loop as loop_module
from servicekit.loops.job import JobLoop
from servicekit.loops.sink import SinkLoop
from servicekit.loops.transactional import TransactionalLoop
from servicekit.processor import Processor
from servicekit.testing.metrics import metric_value


class Forgetful:
    """A sink that keeps nothing."""

    def recover(self) -> list[Any]:
        return []

    def taken_over(self, partitions: Any) -> None:
        pass

    def write(self, batch: Any) -> list[Any]:
        return []


@pytest.fixture(autouse=True)
def look_every_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop_module, "LAG_SECONDS", 0.0)


def behind(group: str, topic: str) -> float | None:
    return REGISTRY.get_sample_value("tailrace_consumer_lag", {"group": group, "topic": topic})


def read_one(loop: Any) -> None:
    until = time.monotonic() + 20
    while not loop.step():
        assert time.monotonic() < until, "nothing was read"


def loops(kind: str, unique: str, asked: Any, bus: Any) -> Any:
    match kind:
        case "transactional":
            processor = Processor(unique, {asked: lambda event: ()})
            return TransactionalLoop(processor, bus, max_batch=1)
        case "sink":
            return SinkLoop(unique, Forgetful(), bus, topics=[asked.topic()], max_batch=1)
        case _:
            return JobLoop(unique, {asked: lambda event: ()}, bus, group=unique)


@pytest.mark.parametrize("kind", ["transactional", "sink", "job"])
def test_each_loop_tells_how_many_records_wait(
    kind: str, world: Any, unique: str, contract: Callable[..., Any]
) -> None:
    asked = contract()
    world.publish(*(asked(name="a", n=n) for n in range(5)))
    loop = loops(kind, unique, asked, world.bus)
    loop.open()
    try:
        for left in (4, 3, 2):
            read_one(loop)
            assert behind(unique, asked.topic()) == left
        assert metric_value("tailrace_batch_seconds_count", group=unique) == 3
    finally:
        loop.close()


def test_the_gauge_looks_only_once_in_a_while(
    world: Any, unique: str, contract: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_module, "LAG_SECONDS", 3600.0)
    asked = contract()
    world.publish(asked(name="a"), asked(name="b"))
    loop = loops("job", unique, asked, world.bus)
    loop.open()
    try:
        read_one(loop)
        told = behind(unique, asked.topic())
        read_one(loop)
        assert behind(unique, asked.topic()) == told
    finally:
        loop.close()


def test_gauges_are_set_after_a_restore_and_after_each_commit(
    unique: str, contract: Callable[..., Any]
) -> None:
    from servicekit.memory import MemoryBus

    asked, bus, told = contract(), MemoryBus(), []
    processor = Processor(
        unique, {asked: lambda event: ()}, measure=lambda: told.append(len(bus.committed))
    )
    loop = TransactionalLoop(processor, bus)
    loop.open()
    assert told == [0]
    bus.publish(asked(name="a"))
    bus.aborts = 1
    with pytest.raises(Exception, match="asked for an abort"):
        loop.step()
    assert told == [0]
    loop.step()
    assert told == [0, 1]
