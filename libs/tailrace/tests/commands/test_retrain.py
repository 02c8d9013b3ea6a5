"""`tailrace retrain` on a real broker: the request is there, and the decision is waited for."""

import threading
import time
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from event_schemas import RetrainDecided, RetrainRequested
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


def decide(bus: KafkaBus, model: str, decision: str) -> None:
    """Answer the first request for a model, as the trainer would."""
    view, sender = bus.view(RetrainRequested.topic()), bus.sender()
    give_up = time.monotonic() + 30
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
                    sent = Event(body=answer, source="/tests", time=datetime.now(UTC))
                    sender.send(encode(sent)).result(timeout=10)
                    return
    finally:
        view.close()
        sender.close(5.0)


@pytest.mark.parametrize(("decision", "code"), [("accepted", 0), ("merged", 0), ("refused", 1)])
def test_a_request_is_published_and_its_decision_is_the_exit_code(
    bus: KafkaBus, decision: str, code: int
) -> None:
    model = f"retrained_{decision}"
    trainer = threading.Thread(target=decide, args=(bus, model, decision))
    trainer.start()
    ended, said = run(model, "--by", "ann", "--wait", "--timeout", "30")
    trainer.join()
    assert ended == code, said
    assert f"{decision}: the rule" in said


def test_a_decision_that_does_not_come_says_where_to_look(bus: KafkaBus) -> None:
    code, said = run("nobodys_model", "--until", "2013-02-01T00:00:00", "--wait", "--timeout", "1")
    assert code == 1
    assert "is the trainer up" in said
