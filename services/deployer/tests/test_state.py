"""States as earlier releases wrote them are read, and go on."""

import json
from pathlib import Path
from typing import Any

from deployer.app import build
from deployer.settings import DeployerSettings
from event_schemas import RolloutCommand, RolloutStep
from servicekit.bus import Record
from servicekit.memory import MemoryBus

FORMAT_1 = Path(__file__).parent / "state" / "format1.json"
"""What e9a3a0f, which wrote no format yet, kept of a canary with evidence and of one that waits."""


def test_fault_2_4_a_state_of_format_1_is_read_and_its_rollout_goes_on(
    approve: Any, measure: Any
) -> None:
    bus = MemoryBus()
    state = json.loads(FORMAT_1.read_text())
    for key, value in state.items():
        bus.append(Record("deployer.state", key.encode(), value.encode(), partition=0))
    bus.committed["deployer", "model.approved", 0] = 0
    rollout = json.loads(state["rollout/flight_delay"])["rollout_id"]
    bus.publish(approve("2"))
    bus.publish(measure("challenger", rollout_id=rollout, weight=0.1, day=1, n=50_000))
    bus.publish(
        RolloutCommand(model="flight_delay", command="abort", commanded_by="ada", reason="a drill")
    )
    (loop,) = build(DeployerSettings(), bus)
    loop.open()
    while loop.step():
        pass
    loop.close()
    assert not bus.messages("deployer.dead")
    heavier, ended, begun = [event.body for event in bus.events(RolloutStep)]
    assert (heavier.weight, heavier.sequence) == (0.5, 2)
    assert heavier.verdict
    assert heavier.verdict.n_challenger == 50_199, "what was measured before counts"
    assert ended.outcome == "aborted"
    assert begun.challenger
    assert begun.challenger.version == "3", "what waited has its turn"
    keys = {m.key: m.value for m in bus.messages("deployer.state")}
    assert keys[b"format/number"] == b"2"
    assert keys[b"evidence/flight_delay"] is None
