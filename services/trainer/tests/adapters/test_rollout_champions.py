"""Who serves, as the topic of rollout steps says."""

from event_schemas import RolloutStep
from servicekit.bus import Record
from servicekit.memory import MemoryBus
from trainer.adapters.rollout_champions import RolloutChampions


def step(champion, sequence):
    return RolloutStep(
        model=champion.model,
        rollout_id="x",
        sequence=sequence,
        phase="stable",
        champion=champion,
        weight=0.0,
        salt="s",
        reason="r",
        outcome="promoted",
    )


def test_nobody_serves_before_the_first_rollout(make_version):
    bus = MemoryBus()
    bus.publish(step(make_version("1").model_copy(update={"model": "other"}), 0))
    assert RolloutChampions(bus).current("flight_delay") is None


def test_the_readable_step_with_the_highest_sequence_says_who_serves(make_version):
    bus = MemoryBus()
    for sequence, version in ((0, "1"), (2, "3"), (1, "2")):
        bus.publish(step(make_version(version), sequence))
    bus.append(Record("rollout.step", b"flight_delay", b"{}"))
    assert RolloutChampions(bus).current(make_version("3").model) == make_version("3")
