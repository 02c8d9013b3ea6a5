"""`tailrace retrain` on a real broker: the request is there, and the decision is waited for."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from event_schemas import (
    EventBody,
    ModelApproved,
    ModelRejected,
    RetrainDecided,
    RetrainRequested,
    TrainingFailed,
)
from event_schemas.model import Artifact, GateResult, ModelVersion
from servicekit.cloudevents import decode, encode
from servicekit.event import Event
from servicekit.kafka import KafkaBus
from tailrace.cli import app

pytestmark = pytest.mark.integration


@pytest.fixture
def bus(kafka_bootstrap: str, monkeypatch: pytest.MonkeyPatch) -> KafkaBus:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka_bootstrap)
    return KafkaBus(kafka_bootstrap)


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["retrain", *words])
    return done.exit_code, done.output


def decide(bus: KafkaBus, model: str, decision: str, outcome: EventBody | None) -> None:
    """Answer the first request for a model, as the trainer would."""
    view, sender = bus.view(RetrainRequested.topic()), bus.sender()
    give_up = time.monotonic() + 30

    def send(body: EventBody, cause: str | None = None) -> str:
        event = Event(body=body, source="/tests", time=datetime.now(UTC), causation_id=cause)
        sender.send(encode(event)).result(timeout=10)
        return event.id

    try:
        while time.monotonic() < give_up:
            for message in view.poll(0.2):
                event = decode(message)
                if event.body.model == model:
                    answer = RetrainDecided(
                        model=model,
                        request_id=event.id,
                        decision=decision,  # pyright: ignore[reportArgumentType]
                        reason="the rule",
                        cause=event.body.cause,
                        event_time=event.body.event_time,
                    )
                    decided = send(answer)
                    if outcome is not None:
                        send(failed(model, "of somebody else's request"), "another")
                        send(outcome, decided)
                    return
    finally:
        view.close()
        sender.close(5.0)


def version(model: str) -> ModelVersion:
    artifact = Artifact(uri="runs:/r/model.onnx", sha256="0" * 64, format="onnx")
    moment = datetime(2013, 1, 1, tzinfo=UTC)
    return ModelVersion(
        model=model, version="3", run_id="r", artifact=artifact, features=(), trained_at=moment
    )


def approved(model: str) -> EventBody:
    return ModelApproved(model=model, version=version(model), approved_by="policy")


def rejected(model: str) -> EventBody:
    gate = GateResult(gate="log_loss", verdict="failed", reason="it is worse")
    return ModelRejected(model=model, version=version(model), gates=(gate,))


def failed(model: str, error: str = "no rows") -> EventBody:
    return TrainingFailed(model=model, request_id="r", stage="read", error=error)


@pytest.mark.parametrize(
    ("decision", "outcome", "code", "said"),
    [
        ("accepted", approved, 0, "approved: version 3, by policy"),
        ("accepted", rejected, 1, "rejected: version 3: it is worse"),
        ("accepted", failed, 1, "failed: read: no rows"),
        ("merged", failed, 1, "failed: read: of somebody else's request"),
        ("refused", None, 1, "refused: the rule"),
        ("accepted", None, 3, "not over in"),
        ("deferred", None, 3, "deferred: the rule"),
    ],
)
def test_fault_4_13_waiting_ends_with_the_outcome(
    bus: KafkaBus, decision: str, outcome: Callable[[str], EventBody] | None, code: int, said: str
) -> None:
    model = f"retrained_{decision}_{outcome.__name__ if outcome else 'open'}"
    body = outcome(model) if outcome else None
    trainer = threading.Thread(target=decide, args=(bus, model, decision, body))
    trainer.start()
    ended, text = run(model, "--by", "ann", "--wait", "--timeout", "3" if code == 3 else "30")
    trainer.join()
    assert ended == code, text
    assert f"{decision}: the rule" in text
    assert said in text


def test_a_decision_that_does_not_come_says_where_to_look(bus: KafkaBus) -> None:
    code, said = run("nobodys_model", "--until", "2013-02-01T00:00:00", "--wait", "--timeout", "1")
    assert code == 1
    assert "is the trainer up" in said
