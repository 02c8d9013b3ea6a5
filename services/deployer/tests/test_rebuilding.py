"""A state that was lost is rebuilt from what was published."""

from datetime import UTC, datetime
from typing import Any

import pytest

from deployer.app import build
from deployer.settings import DeployerSettings
from event_schemas import RolloutCommand, RolloutStep
from servicekit.clock import SystemClock
from servicekit.cloudevents import encode
from servicekit.event import Event
from servicekit.loops.offset_reset import OffsetReset
from servicekit.memory import MemoryBus
from servicekit.start import Start


@pytest.fixture
def bus() -> MemoryBus:
    return MemoryBus(SystemClock())


def order(command: str) -> RolloutCommand:
    return RolloutCommand.model_validate(
        {"model": "flight_delay", "command": command, "commanded_by": "ada", "reason": "a drill"}
    )


def turn(bus: MemoryBus) -> list[RolloutStep]:
    """Run a new deployer until nothing waits; returns all steps."""
    (loop,) = build(DeployerSettings(), bus)
    loop.open()
    while loop.step():
        pass
    loop.close()
    assert not bus.messages("deployer.dead")
    return [event.body for event in bus.events(RolloutStep)]


def lose(bus: MemoryBus, *, offsets: bool) -> None:
    bus.logs["deployer.state", 0].clear()
    if offsets:
        bus.committed.clear()


@pytest.mark.parametrize("offsets", [False, True], ids=["the state alone", "offsets as well"])
def test_fault_3_6_a_lost_state_is_rebuilt_from_the_newest_step(
    bus: MemoryBus, approve: Any, offsets: bool
) -> None:
    for body in (approve("1"), approve("2"), order("promote"), approve("3"), order("abort")):
        bus.publish(body)
        before = turn(bus)
    bus.publish(approve("4"))
    running = turn(bus)[-1]
    lose(bus, offsets=offsets)
    assert turn(bus) == [*before, running], "nothing is rolled out or carried out again"
    bus.publish(approve("3"))
    assert turn(bus)[-1] == running, "version 3 was aborted"
    bus.publish(order("promote"))
    promoted = turn(bus)[-1]
    assert (promoted.sequence, promoted.champion.version) == (running.sequence + 1, "4")
    lose(bus, offsets=offsets)
    bus.publish(order("rollback"))
    assert turn(bus)[-1].champion.version == "2", "the version before is known"


def test_fault_3_6_a_reset_of_the_state_forgets_no_version_and_no_sequence(
    bus: MemoryBus, approve: Any
) -> None:
    for body in (approve("1"), approve("2"), order("abort"), approve("3"), order("pause")):
        bus.publish(body)
        before = turn(bus)
    (loop,) = build(DeployerSettings(), bus)
    loop.reset_offsets(OffsetReset(Start("earliest"), reset_state=True))
    assert turn(bus) == before
    bus.publish(order("resume"))
    assert turn(bus)[-1].sequence == before[-1].sequence + 1


def test_fault_3_6_a_step_of_an_earlier_release_lets_no_older_approval_in(
    bus: MemoryBus, approve: Any
) -> None:
    for body in (approve("1"), approve("2"), order("abort")):
        bus.publish(body)
        *_, newest = turn(bus)
    steps = bus.logs["rollout.step", 0]
    steps.clear()
    old = newest.model_copy(update={"decided": (), "previous": None})
    bus.append(encode(Event(old, "/tailrace/deployer", datetime.now(UTC))))
    lose(bus, offsets=True)
    assert turn(bus) == [old]
    bus.publish(approve("3"))
    begun = turn(bus)[-1]
    assert begun.challenger
    assert (begun.challenger.version, begun.sequence) == ("3", old.sequence + 1)


def test_fault_3_6_what_waited_is_rolled_out_when_its_approval_is_read_again(
    bus: MemoryBus, approve: Any
) -> None:
    for body in (approve("1"), approve("2"), approve("3")):
        bus.publish(body)
    turn(bus)
    lose(bus, offsets=True)
    turn(bus)
    bus.publish(order("abort"))
    begun = turn(bus)[-1]
    assert begun.challenger
    assert begun.challenger.version == "3"
