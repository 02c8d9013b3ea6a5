"""What the worker makes of an accepted request, over a bus in memory."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from event_schemas import (
    EventBody,
    ModelApproved,
    ModelRejected,
    ModelTrained,
    RetrainDecided,
    RolloutStep,
    TrainingFailed,
)
from servicekit.cloudevents import encode
from servicekit.errors import FatalBusError, UnavailableError
from servicekit.loops.job import JobLoop
from servicekit.memory import MemoryBus
from trainer.adapters.rollout_champions import RolloutChampions
from trainer.adapters.topic_verdicts import TopicVerdicts
from trainer.domain.failure import TrainingError
from trainer.handlers.worker import Worker

START = datetime(2013, 4, 1, tzinfo=UTC)
MODEL = "flight_delay"


def decided(decision: Any = "accepted", request_id="r1"):
    return RetrainDecided(
        model=MODEL,
        request_id=request_id,
        decision=decision,
        reason="because",
        cause="manual",
        event_time=START,
    )


@pytest.fixture
def make_worker(define, memory_catalog, scripted_training, registry, fixed_champion, verdicts):
    def build(*answers, champion=None):
        training = scripted_training(list(answers))
        worker = Worker(
            memory_catalog([define()]),
            fixed_champion(champion),
            verdicts,
            training,
            registry,
            registry,
        )
        return worker, training

    return build


def test_an_accepted_request_becomes_a_version_with_its_policies(
    make_worker, make_result, registry, define, wrap
):
    worker, training = make_worker(make_result())
    trained, approved = worker.on_retrain_decided(wrap(decided()))
    assert isinstance(trained, ModelTrained)
    assert isinstance(approved, ModelApproved)
    assert approved.version == trained.version
    assert trained.version.version == "1"
    assert trained.version.policies == define().policies
    assert trained.version.trained_at == START
    assert (trained.version.reference_loss, trained.version.reference_loss_std) == (0.45, 0.6)
    assert [(d.dataset, d.table_version) for d in trained.data] == [("flights", 7)]
    assert trained.parity == 1e-7
    assert approved.gates[0].reason == "a sentence"
    assert training.tasks[0].until == START
    assert registry.aliases == {"challenger": "1"}


@pytest.mark.parametrize("verdict", ["failed", "not_measured"])
def test_a_version_that_fails_a_gate_is_registered_and_rejected(
    make_worker, make_result, registry, wrap, verdict
):
    worker, _ = make_worker(make_result(verdict=verdict))
    trained, rejected = worker.on_retrain_decided(wrap(decided()))
    assert isinstance(trained, ModelTrained)
    assert isinstance(rejected, ModelRejected)
    assert registry.aliases == {}


@pytest.mark.parametrize("decision", ["merged", "deferred", "refused"])
def test_only_what_was_accepted_is_trained(make_worker, registry, wrap, decision):
    worker, training = make_worker()
    assert list(worker.on_retrain_decided(wrap(decided(decision)))) == []
    assert not training.tasks
    assert not registry.runs


def test_fault_1_8_a_decision_whose_verdict_kafka_has_is_not_trained_again(
    make_worker, make_result, registry, wrap, verdicts
):
    worker, training = make_worker(make_result())
    event = wrap(decided())
    assert len(list(worker.on_retrain_decided(event))) == 2
    verdicts.ids.add(event.id)
    assert list(worker.on_retrain_decided(event)) == []
    assert len(training.tasks) == len(registry.runs) == len(registry.versions) == 1


def test_fault_1_8_what_mlflow_says_of_an_outcome_is_told_by_nobody(
    make_worker, make_result, registry, wrap
):
    worker, training = make_worker(make_result(), make_result(verdict="failed"))
    event = wrap(decided())
    assert isinstance(list(worker.on_retrain_decided(event))[-1], ModelApproved)
    _, verdict = worker.on_retrain_decided(event)
    assert isinstance(verdict, ModelRejected), "the run's outcome.json says approved"
    assert [r["status"] for r in registry.runs] == ["KILLED", "FINISHED"]
    assert len(training.tasks) == 2


def test_an_outage_leaves_an_unfinished_run_that_the_next_attempt_supersedes(
    make_worker, make_result, registry, wrap
):
    worker, _ = make_worker(UnavailableError("the lake is away"), make_result())
    event = wrap(decided())
    with pytest.raises(UnavailableError):
        worker.on_retrain_decided(event)
    assert [r["status"] for r in registry.runs] == ["RUNNING"]
    assert len(list(worker.on_retrain_decided(event))) == 2
    assert [r["status"] for r in registry.runs] == ["KILLED", "FINISHED"]


def test_what_the_business_expects_is_an_event(make_worker, registry, wrap):
    worker, _ = make_worker(TrainingError("prepare", "3 labelled rows"))
    event = wrap(decided())
    (failed,) = worker.on_retrain_decided(event)
    assert failed == TrainingFailed(
        model=MODEL, request_id="r1", stage="prepare", error="TrainingError: 3 labelled rows"
    )
    assert [r["status"] for r in registry.runs] == ["FAILED"]


def test_a_bug_ends_the_training_instead_of_leaving_it_in_flight(make_worker, wrap):
    worker, _ = make_worker(ZeroDivisionError("oh"))
    (failed,) = worker.on_retrain_decided(wrap(decided()))
    assert isinstance(failed, TrainingFailed)
    assert failed.error == "ZeroDivisionError: oh"


@pytest.mark.parametrize("call", ["begin", "conclude", "register", "point", "fetch"])
@pytest.mark.parametrize("error", [TrainingError("register", "MLflow: 400"), KeyError("bug")])
def test_fault_3_2_a_refusal_anywhere_in_the_worker_ends_the_request(
    make_worker, make_result, make_version, registry, wrap, monkeypatch, call, error
):
    champion = make_version("1") if call == "fetch" else None
    worker, _ = make_worker(make_result(), champion=champion)

    def refuse(*args, **named):
        raise error

    monkeypatch.setattr(registry, call, refuse)
    (failed,) = worker.on_retrain_decided(wrap(decided()))
    assert isinstance(failed, TrainingFailed)
    assert (failed.request_id, failed.will_retry) == ("r1", False)
    assert type(error).__name__ in failed.error


@pytest.mark.parametrize("error", [UnavailableError("away"), FatalBusError("fenced")])
def test_fault_3_2_an_outage_and_a_fence_end_no_request(
    make_worker, registry, wrap, monkeypatch, error
):
    worker, _ = make_worker()

    def refuse(*args, **named):
        raise error

    monkeypatch.setattr(registry, "begin", refuse)
    with pytest.raises(type(error)):
        worker.on_retrain_decided(wrap(decided()))


def test_a_model_that_has_gone_meanwhile_fails(make_worker, wrap):
    worker, _ = make_worker()
    gone = decided().model_copy(update={"model": "gone"})
    (failed,) = worker.on_retrain_decided(wrap(gone))
    assert isinstance(failed, TrainingFailed)


def test_the_champion_is_handed_to_the_training(
    make_worker, make_result, make_version, tmp_path, wrap
):
    path = tmp_path / "champion.onnx"
    path.write_bytes(b"onnx")
    champion = make_version("4")
    artifact = champion.artifact.model_copy(update={"uri": str(path)})
    champion = champion.model_copy(update={"artifact": artifact})
    worker, training = make_worker(make_result(), champion=champion)
    worker.on_retrain_decided(wrap(decided()))
    (task,) = training.tasks
    assert (task.champion, task.champion_name) == (path, "version 4")
    assert task.champion_features == champion.features


def step(make_version, champion, outcome, sequence=1):
    return RolloutStep(
        model=MODEL,
        rollout_id="x",
        sequence=sequence,
        phase="stable",
        champion=make_version(champion),
        weight=0.0,
        salt="s",
        reason="r",
        outcome=outcome,
    )


@pytest.mark.parametrize("outcome", ["promoted", "rolled_back", "aborted"])
def test_fault_6_10_the_aliases_follow_the_route(
    make_worker, make_version, registry, wrap, outcome
):
    worker, _ = make_worker()
    running = step(make_version, "1", "running").model_copy(
        update={"challenger": make_version("2"), "weight": 0.1}
    )
    assert list(worker.on_rollout_step(wrap(running))) == []
    assert registry.aliases == {"champion": "1", "challenger": "2"}
    champion = "2" if outcome == "promoted" else "1"
    list(worker.on_rollout_step(wrap(step(make_version, champion, outcome))))
    assert registry.aliases == {"champion": champion}


def test_fault_6_10_a_person_who_goes_back_moves_the_champion_back(
    make_worker, make_version, registry, wrap
):
    worker, _ = make_worker()
    list(worker.on_rollout_step(wrap(step(make_version, "2", "promoted"))))
    list(worker.on_rollout_step(wrap(step(make_version, "1", "rolled_back", sequence=2))))
    assert registry.aliases == {"champion": "1"}


def test_over_a_bus_the_worker_publishes_once_and_follows_the_newest_champion(
    define, memory_catalog, scripted_training, registry, make_result, make_version
):
    bus = MemoryBus()
    path = registry.folder / "two.onnx"
    path.write_bytes(b"onnx")
    newest = step(make_version, "2", "promoted", sequence=2)
    artifact = newest.champion.artifact.model_copy(update={"uri": str(path)})
    champion = newest.champion.model_copy(update={"artifact": artifact})
    bus.publish(step(make_version, "1", "promoted", sequence=1))
    bus.publish(newest.model_copy(update={"champion": champion}))
    training = scripted_training([replace(make_result(), parity=0.0)])
    worker = Worker(
        memory_catalog([define()]),
        RolloutChampions(bus),
        TopicVerdicts(bus),
        training,
        registry,
        registry,
    )
    loop = JobLoop("trainer", worker.jobs(), bus, group="trainer-worker", poll_seconds=0.01)
    loop.open()
    bus.publish(decided())
    while loop.step():
        pass
    loop.close()
    assert not bus.messages("trainer.dead")
    assert training.tasks[0].champion_name == "version 2"
    published: list[type[EventBody]] = [ModelTrained, ModelApproved]
    assert [len(bus.events(body)) for body in published] == [1, 1]
    bus.append(encode(bus.events(RetrainDecided)[0]))
    again = JobLoop("trainer", worker.jobs(), bus, group="trainer-worker", poll_seconds=0.01)
    again.open()
    while again.step():
        pass
    again.close()
    assert [len(bus.events(body)) for body in published] == [1, 1], "told once"
    assert registry.aliases["champion"] == "2"
