"""What was published, read back."""

from typing import Any

from deployer.adapters.published_steps import PublishedSteps
from event_schemas import RolloutStep
from servicekit.bus import Record
from servicekit.memory import MemoryBus


def step(approve: Any, sequence: int) -> RolloutStep:
    return RolloutStep(
        model="flight_delay",
        rollout_id="x",
        sequence=sequence,
        phase="stable",
        champion=approve("1").version,
        weight=0.0,
        salt="s",
        reason="r",
        outcome="promoted",
    )


def test_fault_3_6_the_newest_readable_step_counts_and_versions_are_found_by_name(
    approve: Any,
) -> None:
    bus = MemoryBus()
    for sequence in (0, 2, 1):
        bus.publish(step(approve, sequence))
    bus.append(Record("rollout.step", b"flight_delay", b"no event"))
    bus.publish(approve("1"))
    found = PublishedSteps(bus).read()
    assert [event.body.sequence for event in found.steps] == [2]
    assert found.approved == {"flight_delay/1": approve("1").version}


def test_fault_3_6_where_nothing_was_published_nothing_is_rebuilt() -> None:
    found = PublishedSteps(MemoryBus()).read()
    assert (list(found.steps), dict(found.approved)) == ([], {})
