"""What the governor yields, event by event, over a bus in memory."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from event_schemas import (
    DataArrived,
    DriftCleared,
    DriftDetected,
    ModelApproved,
    ModelRejected,
    RetrainDecided,
    RetrainRequested,
    RolloutStep,
    TrainingFailed,
)
from event_schemas.base import TimeRange
from servicekit.clock import FakeClock
from servicekit.cloudevents import encode
from servicekit.event import Event, derived_id
from servicekit.loops.transactional import TransactionalLoop
from servicekit.memory import MemoryBus
from servicekit.testing.metrics import metric_value
from trainer.handlers.governor import Governor

START = datetime(2013, 4, 1, tzinfo=UTC)
DAY = timedelta(days=1)
MODEL = "flight_delay"


class Loop:
    """A governor on a bus in memory, with words for what happens."""

    def __init__(self, catalog, make_version):
        self.bus = MemoryBus()
        self._catalog = catalog
        self._version = make_version
        self._rows = 0
        self._table_version = 0
        self._sequence = 0
        self.start()

    def start(self):
        self.loop = TransactionalLoop(Governor(self._catalog).processor(), self.bus)
        self.loop.open()

    def turn(self):
        while self.loop.step():
            pass

    def happens(self, body, **envelope):
        if envelope:
            event = Event(body=body, source="/test", time=START, **envelope)
            self.bus.append(encode(event))
        else:
            event = self.bus.publish(body)
        self.turn()
        return event

    def data(self, rows, day=0.0):
        self._rows += rows
        self._table_version += 1
        return self.happens(
            DataArrived(
                dataset="flights",
                table_uri="lake/flights",
                table_version=self._table_version,
                rows=rows,
                total_rows=self._rows,
                event_time=TimeRange(start=START, end=START + day * DAY),
                contract_version="1",
            )
        )

    def ask(self, cause: Any = "manual", day=0.0, **envelope):
        return self.happens(
            RetrainRequested(
                model=MODEL, cause=cause, requested_by="ann", event_time=START + day * DAY
            ),
            **envelope,
        )

    def drift(self, kind: Any, day=0.0):
        return self.happens(
            DriftDetected(
                model=MODEL,
                version="1",
                kind=kind,
                window=TimeRange(start=START + (day - 7) * DAY, end=START + day * DAY),
                rows=1000,
                reason="it moved",
            )
        )

    def trained(self, version, *, approved=True):
        """The training in flight ends, as the worker tells it."""
        cause = next(e for e in reversed(self.accepted()))
        body = (
            ModelApproved(model=MODEL, version=self._version(version), approved_by="policy")
            if approved
            else ModelRejected(model=MODEL, version=self._version(version), gates=())
        )
        return self.happens(body, causation_id=cause.id)

    def rollout(self, champion, challenger, outcome, day=0.0):
        self._sequence += 1
        return self.happens(
            RolloutStep(
                model=MODEL,
                rollout_id=f"rollout-{challenger or champion}",
                sequence=self._sequence,
                phase="canary" if outcome == "running" else "stable",
                champion=self._version(champion),
                challenger=self._version(challenger) if challenger else None,
                weight=0.1 if challenger else 0.0,
                salt="s",
                reason="a step",
                outcome=outcome,
                event_time=START + day * DAY,
            )
        )

    def decided(self):
        return [e.body for e in self.bus.events(RetrainDecided)]

    def accepted(self):
        return [e for e in self.bus.events(RetrainDecided) if e.body.decision == "accepted"]

    @property
    def last(self):
        return self.decided()[-1]

    def dead(self):
        return self.bus.messages("trainer.dead")


@pytest.fixture
def governor(define, memory_catalog, make_version):
    loop = Loop(memory_catalog([define()]), make_version)
    yield loop
    assert not loop.dead()


@pytest.fixture
def serving(governor):
    """A governor whose model has a first version that serves."""
    governor.data(1000)
    governor.ask()
    governor.trained("1")
    governor.rollout("1", None, "promoted")
    return governor


def test_fault_3_2_a_training_that_tells_no_end_is_given_up_by_wall_time(governor):
    clock = FakeClock()
    processor = Governor(governor._catalog, in_flight_limit=timedelta(hours=1)).processor()
    governor.loop = TransactionalLoop(processor, governor.bus, clock=clock)
    governor.loop.open()
    governor.data(1000)
    asked = governor.ask()
    clock.advance(timedelta(seconds=10))
    governor.turn()  # the look that sees it run
    clock.advance(timedelta(hours=1))
    governor.turn()
    assert governor.bus.events(TrainingFailed) == []
    governor.ask(day=1)
    assert governor.last.decision == "merged"
    clock.advance(timedelta(seconds=10))
    governor.turn()
    (failed,) = governor.bus.events(TrainingFailed)
    assert (failed.body.request_id, failed.body.will_retry) == (asked.id, False)
    assert "within 1:00:00" in failed.body.error
    (accepted,) = governor.accepted()
    assert failed.causation_id == accepted.id
    assert failed.id == derived_id(accepted.id, TrainingFailed.type), "the worker's has this id too"
    governor.ask(day=2)
    assert governor.last.decision == "accepted"
    clock.advance(timedelta(seconds=10))
    governor.turn()
    assert len(governor.bus.events(TrainingFailed)) == 1


def test_fault_3_8_a_version_that_nobody_can_roll_out_is_not_awaited(serving, caplog):
    version = serving._version("2")
    rollout = version.policies.rollout.model_copy(update={"steps": (0.5, 0.1)})
    policies = version.policies.model_copy(update={"rollout": rollout})
    version = version.model_copy(update={"policies": policies})
    serving.happens(ModelApproved(model=MODEL, version=version, approved_by="ann"))
    serving.ask(day=20)
    assert serving.last.decision == "accepted"
    assert "version 2 of flight_delay is not awaited: rollout.steps is [0.5, 0.1]" in caplog.text


def test_the_first_request_is_accepted_when_data_are_there(governor):
    governor.data(1000)
    asked = governor.ask(day=2)
    assert governor.last == RetrainDecided(
        model=MODEL,
        request_id=asked.id,
        decision="accepted",
        reason="first training: 1000 rows have arrived",
        cause="manual",
        event_time=START + 2 * DAY,
    )


def test_a_first_request_waits_for_the_first_data(governor):
    asked = governor.ask()
    assert governor.last.decision == "deferred"
    governor.data(10)
    assert [d.decision for d in governor.decided()] == ["deferred", "accepted"]
    assert governor.last.request_id == asked.id


def test_fault_4_5_whoever_asks_is_told_what_is_wrong_with_the_folder(
    define, memory_catalog, make_version
):
    catalog = memory_catalog([define()])
    catalog.problems_of["flight_delay"] = "model.yaml: training.seed: -1: give 0 or more"
    governor = Loop(catalog, make_version)
    measure = Governor(catalog).processor().measure
    assert measure is not None
    governor.data(5000)
    governor.ask()
    assert governor.last.decision == "refused"
    assert governor.last.reason == (
        "invalid model folder: model.yaml: training.seed: -1: give 0 or more"
    )
    measure()
    assert metric_value("model_folder_invalid", model="flight_delay") == 1
    catalog.problems_of["flight_delay"] = None
    governor.ask()
    assert governor.last.decision == "accepted"
    measure()
    assert metric_value("model_folder_invalid", model="flight_delay") == 0


def test_an_unknown_model_is_refused(governor):
    governor.happens(
        RetrainRequested(model="nobody", cause="manual", requested_by="ann", event_time=START)
    )
    assert governor.last.decision == "refused"
    assert governor.last.reason.startswith("unknown model")


def test_a_request_that_comes_twice_is_decided_once(governor):
    governor.data(1000)
    governor.ask(id="the-same")
    governor.ask(id="the-same")
    assert len(governor.decided()) == 1


@pytest.mark.parametrize(
    ("kind", "cause"), [("data", "drift"), ("prediction", "drift"), ("performance", "performance")]
)
def test_drift_asks_for_a_retraining_with_itself_as_evidence(serving, kind, cause):
    serving.data(500)
    detected = serving.drift(kind, day=30)
    asked = serving.bus.events(RetrainRequested)[-1]
    assert (asked.body.cause, asked.body.evidence) == (cause, (detected.id,))
    assert asked.body.event_time == START + 30 * DAY
    assert serving.last.request_id == asked.id


def test_a_broken_feed_asks_for_nothing_and_holds_back_until_it_is_cleared(serving):
    serving.data(500, day=30)
    requests = len(serving.bus.events(RetrainRequested))
    serving.drift("broken_feed", day=30)
    assert len(serving.bus.events(RetrainRequested)) == requests
    serving.ask(day=31)
    assert (serving.last.decision, serving.last.reason[:11]) == ("refused", "broken feed")
    for kind, decision in (("data", "refused"), ("broken_feed", "accepted")):
        serving.happens(
            DriftCleared(
                model=MODEL,
                version="1",
                kind=kind,  # type: ignore[arg-type]
                window=TimeRange(start=START, end=START + 32 * DAY),
                reason="it is back",
            )
        )
        serving.ask(day=33)
        assert serving.last.decision == decision


def test_requests_during_a_training_are_merged(governor):
    governor.data(1000)
    governor.ask()
    governor.ask()
    governor.drift("performance", day=3)
    assert [d.decision for d in governor.decided()] == ["accepted", "merged", "merged"]


def test_what_was_put_off_during_a_rollout_is_decided_again_at_its_end(serving):
    serving.data(500, day=20)
    serving.ask(day=20)
    serving.trained("2")
    waiting = serving.ask(day=21)
    assert serving.last.decision == "deferred"
    serving.rollout("1", "2", "running", day=22)
    second = serving.ask(day=23)
    assert serving.last.decision == "deferred"
    serving.rollout("2", None, "promoted", day=40)
    first_again, second_again = serving.decided()[-2:]
    assert (first_again.request_id, first_again.decision) == (waiting.id, "accepted")
    assert (second_again.request_id, second_again.decision) == (second.id, "merged")
    assert first_again.event_time == START + 40 * DAY


def test_a_rejected_version_frees_the_model_at_once(serving):
    serving.data(500, day=20)
    serving.ask(day=20)
    serving.trained("2", approved=False)
    serving.ask(day=21)
    assert serving.last.decision == "accepted"


def test_a_failed_training_frees_the_model_unless_it_is_tried_again(serving):
    serving.data(500, day=20)
    asked = serving.ask(day=20)
    for will_retry, decision in ((True, "merged"), (False, "accepted")):
        serving.happens(
            TrainingFailed(
                model=MODEL, request_id=asked.id, stage="fit", error="x", will_retry=will_retry
            )
        )
        serving.ask(day=21)
        assert serving.last.decision == decision


def test_the_cool_down_is_told_in_days(serving):
    serving.data(500, day=3.2)
    serving.drift("performance", day=3.2)
    assert serving.last.decision == "refused"
    assert serving.last.reason == "cool-down: 3.2 of 10 days since the last accepted request"


def test_a_request_from_the_far_future_does_not_stop_the_clock(serving):
    serving.data(500, day=20)
    serving.ask(day=9000)
    assert serving.last.decision == "accepted"
    serving.trained("2", approved=False)
    serving.data(500, day=31)
    serving.drift("performance", day=31)
    assert serving.last.decision == "accepted"


def test_rows_ask_by_themselves_when_the_policy_says_so(define, memory_catalog, make_version):
    policy = define(causes=("volume",), volume_rows=1000)
    governor = Loop(memory_catalog([policy]), make_version)
    governor.data(999, day=1)
    assert not governor.decided()
    arrived = governor.data(1, day=2)
    asked = governor.bus.events(RetrainRequested)[-1].body
    assert (asked.cause, asked.evidence) == ("volume", (arrived.id,))
    assert asked.event_time == START + 2 * DAY
    assert governor.last.decision == "accepted"
    governor.data(999, day=3)
    assert len(governor.decided()) == 1


def test_a_batch_that_is_told_twice_counts_once(serving):
    arrived = serving.data(60, day=20)
    serving.bus.append(encode(arrived))
    serving.turn()
    serving.drift("performance", day=20)
    assert serving.last.reason == "new rows: 60 of 100 since the last accepted request"


def test_the_state_survives_a_restart(serving):
    serving.data(500, day=20)
    serving.ask(day=20)
    serving.start()
    serving.ask(day=21)
    assert serving.last.decision == "merged"
    serving.trained("2")
    serving.start()
    serving.ask(day=22)
    assert serving.last.decision == "deferred"
    serving.start()
    serving.rollout("2", None, "promoted", day=23)
    assert serving.last.decision == "accepted"
