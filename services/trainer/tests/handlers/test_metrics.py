"""What Prometheus hears of requests for retraining and of trainings."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import REGISTRY

from event_schemas import DataArrived, EventBody, RetrainDecided, RetrainRequested, TrainingFailed
from servicekit.clock import FakeClock
from servicekit.loops.transactional import TransactionalLoop
from servicekit.memory import MemoryBus
from servicekit.testing.metrics import metric_value
from trainer.domain.failure import TrainingError
from trainer.handlers.governor import Governor
from trainer.handlers.worker import Worker

START = datetime(2013, 4, 1, tzinfo=UTC)
MODEL = "flight_delay"


def value(name: str, **labels: str) -> float:
    return metric_value(name, model=MODEL, **labels)


def decisions(decision: str) -> float:
    return value("retrain_decisions_total", cause="manual", decision=decision)


class Governed:
    """A governor on a bus in memory."""

    def __init__(self, catalog: Any) -> None:
        self.bus = MemoryBus()
        self._loop = TransactionalLoop(Governor(catalog).processor(), self.bus)
        self._loop.open()

    def hears(self, body: EventBody) -> None:
        self.bus.publish(body)
        while self._loop.step():
            pass


@pytest.fixture
def governor(memory_catalog, define):
    return Governed(memory_catalog([define()]))


def test_decisions_are_counted_and_a_training_is_in_flight_until_it_ends(governor):
    accepted, merged = decisions("accepted"), decisions("merged")
    governor.hears(
        DataArrived(
            dataset="flights",
            table_uri="lake/flights",
            table_version=1,
            rows=9000,
            total_rows=9000,
            contract_version="1",
        ),
    )
    ask = RetrainRequested(model=MODEL, cause="manual", requested_by="ann", event_time=START)
    governor.hears(ask)
    governor.hears(ask)
    assert (decisions("accepted"), decisions("merged")) == (accepted + 1, merged + 1)
    assert value("training_in_flight") == 1
    first = governor.bus.events(RetrainDecided)[0].body
    governor.hears(
        TrainingFailed(model=MODEL, request_id=first.request_id, stage="fit", error="it broke"),
    )
    assert value("training_in_flight") == 0


def test_a_name_that_nobody_described_becomes_no_label(governor):
    made_up = RetrainRequested(
        model="made-up", cause="manual", requested_by="ann", event_time=START
    )
    governor.hears(made_up)
    (counter,) = (m for m in REGISTRY.collect() if m.name == "retrain_decisions")
    assert "made-up" not in {sample.labels["model"] for sample in counter.samples}


@pytest.mark.parametrize("outcome", ["approved", "failed"])
def test_a_training_is_counted_once_and_timed_from_its_acceptance(
    outcome,
    define,
    memory_catalog,
    scripted_training,
    registry,
    fixed_champion,
    verdicts,
    make_result,
    wrap,
):
    answer = make_result() if outcome == "approved" else TrainingError("fit", "it broke")
    training = scripted_training([answer])
    clock = FakeClock(START + timedelta(minutes=3))
    worker = Worker(
        memory_catalog([define()]),
        fixed_champion(None),
        verdicts,
        training,
        registry,
        registry,
        clock=clock,
    )
    event = wrap(
        RetrainDecided(
            model=MODEL,
            request_id=f"timed-{outcome}",
            decision="accepted",
            reason="because",
            cause="manual",
            event_time=START,
        )
    )
    count, total = value("trainings_total", outcome=outcome), value("loop_decide_seconds_sum")
    for _ in range(2):  # the second time it was served before
        worker.on_retrain_decided(event)
        verdicts.ids.add(event.id)
    assert value("trainings_total", outcome=outcome) == count + 1
    assert value("loop_decide_seconds_sum") - total == 180


def test_fault_1_9_a_model_that_nobody_described_has_no_series(governor):
    governor.hears(
        RetrainRequested(model="anything", cause="manual", requested_by="me", event_time=START)
    )
    for name in ("training_in_flight", "training_feed_broken", "retrain_decisions_total"):
        samples = [s for each in REGISTRY.collect() for s in each.samples if s.name == name]
        assert "anything" not in {sample.labels["model"] for sample in samples}
