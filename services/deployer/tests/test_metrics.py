"""What Prometheus hears of the rollouts."""

from typing import Any

import pytest
from prometheus_client import REGISTRY

from deployer.handlers import Deployer
from deployer.metrics import PHASE, WEIGHT
from event_schemas import RolloutCommand, RolloutStep
from servicekit.loops.transactional import TransactionalLoop
from servicekit.memory import MemoryBus
from servicekit.testing.metrics import metric_value

DAY = 86400


def value(name: str, **labels: str) -> float:
    return metric_value(name, model="flight_delay", **labels)


@pytest.fixture
def bus() -> MemoryBus:
    return MemoryBus()


@pytest.fixture
def loop(bus: MemoryBus) -> TransactionalLoop:
    return started(bus)


def started(bus: MemoryBus) -> TransactionalLoop:
    loop = TransactionalLoop(Deployer().processor, bus)
    loop.open()
    return loop


def phases() -> set[str]:
    return {
        phase
        for phase in ("canary", "probation", "stable", "paused")
        if value("rollout_phase", phase=phase)
    }


def test_gauges_follow_the_rollout_and_survive_a_restart(
    loop: TransactionalLoop, bus: MemoryBus, approve: Any
) -> None:
    bus.publish(approve("1"))
    loop.step()
    assert (value("rollout_weight"), phases()) == (0.0, {"stable"})
    bus.publish(approve("2"))
    loop.step()
    assert (value("rollout_weight"), phases()) == (0.1, {"canary"})
    assert value("rollout_sequence") == 1
    loop.close()
    # A new process knows nothing yet.
    PHASE.labels("flight_delay", "canary").set(0)
    WEIGHT.labels("flight_delay").set(0)
    started(bus)
    assert (value("rollout_weight"), phases()) == (0.1, {"canary"})


def test_ends_are_counted_and_a_rollback_is_there_at_zero_before_it_happens(
    loop: TransactionalLoop, bus: MemoryBus, approve: Any
) -> None:
    bus.publish(approve("1"))
    loop.step()
    labels = {"model": "flight_delay", "outcome": "aborted"}
    assert REGISTRY.get_sample_value("rollouts_total", labels) is not None
    before = value("rollouts_total", outcome="aborted")
    bus.publish(approve("2"))
    bus.publish(
        RolloutCommand(model="flight_delay", command="abort", commanded_by="ada", reason="a drill")
    )
    loop.step()
    assert value("rollouts_total", outcome="aborted") == before + 1
    assert phases() == {"stable"}


def test_recovery_is_timed_from_the_training_data_to_the_promotion(
    loop: TransactionalLoop, bus: MemoryBus, approve: Any, measure: Any
) -> None:
    promoted = value("rollouts_total", outcome="promoted")
    count, total = value("loop_recover_seconds_count"), value("loop_recover_seconds_sum")
    bus.publish(approve("1"))
    loop.step()
    bus.publish(approve("2"))
    loop.step()
    days = 0
    while (step := steps(bus)[-1]).outcome == "running":
        for arm in ("champion", "challenger"):
            bus.publish(measure(arm, rollout_id=step.rollout_id, weight=step.weight, day=days))
        loop.step()
        days += 1
        assert days < 10
    assert value("rollouts_total", outcome="promoted") == promoted + 2
    assert value("loop_recover_seconds_count") == count + 1
    # Its training data ended where the measured days begin.
    assert value("loop_recover_seconds_sum") - total == days * DAY


def steps(bus: MemoryBus) -> list[RolloutStep]:
    return [event.body for event in bus.events(RolloutStep)]
