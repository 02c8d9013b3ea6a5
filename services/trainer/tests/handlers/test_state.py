"""States as earlier releases wrote them are read, and go on."""

import json
from datetime import UTC, datetime
from pathlib import Path

from event_schemas import RetrainDecided, RetrainRequested, TrainingFailed
from servicekit.bus import Record
from servicekit.cloudevents import encode
from servicekit.event import Event
from servicekit.loops.transactional import TransactionalLoop
from servicekit.memory import MemoryBus
from trainer.handlers.governor import Governor

FORMAT_1 = Path(__file__).parents[1] / "state" / "format1.json"
"""What e9a3a0f, which wrote no format yet, kept of a model whose first training was accepted."""
START = datetime(2013, 4, 1, tzinfo=UTC)


def test_fault_2_4_a_state_of_format_1_is_read_and_its_training_is_still_in_flight(
    define, memory_catalog
):
    bus = MemoryBus()
    state = json.loads(FORMAT_1.read_text())
    for key, value in state.items():
        bus.append(Record("trainer.state", key.encode(), value.encode(), partition=0))
    bus.committed["trainer", "data.arrived", 0] = 0
    loop = TransactionalLoop(Governor(memory_catalog([define()])).processor(), bus)
    loop.open()

    def happens(body, **envelope):
        bus.append(encode(Event(body, "/test", START, **envelope)))
        while loop.step():
            pass

    def ask(request_id):
        body = RetrainRequested(
            model="flight_delay", cause="manual", requested_by="ada", event_time=START
        )
        happens(body, id=request_id)
        return [event.body.decision for event in bus.events(RetrainDecided)]

    assert ask("r1") == [], "it was decided before"
    assert ask("r2") == ["merged"]
    decision = json.loads(state["models/flight_delay"])["in_flight"]["decision_id"]
    failed = TrainingFailed(model="flight_delay", request_id="r1", stage="fit", error="oh")
    happens(failed, causation_id=decision)
    assert ask("r3") == ["merged", "accepted"]
    assert not bus.messages("trainer.dead")
    loop.close()
