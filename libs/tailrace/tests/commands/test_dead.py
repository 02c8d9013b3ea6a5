"""Dead letters are listed, shown and sent again over a real broker, as a user does it."""

import json
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from servicekit.bus import Message
from servicekit.deadletter import dead_letter
from servicekit.kafka import KafkaBus

Command = Callable[..., subprocess.CompletedProcess[str]]
ORIGINAL = Message("label.arrived", 0, 17, b"p-1", b'{"label": 2', (("ce_id", b"e-1"),), 0)


@pytest.fixture
def bus(tailrace: Command, environment: dict[str, str]) -> KafkaBus:
    up = tailrace("up", "--only", "kafka", "--timeout", "30")
    assert up.returncode == 0, up.stderr
    return KafkaBus(f"127.0.0.1:{environment['KAFKA_PORT']}")


def send(bus: KafkaBus, *messages: Message) -> None:
    sender = bus.sender()
    for message in messages:
        record = dead_letter(
            "drift-monitor.dead", message, ValueError("no JSON"), datetime(2013, 6, 1, tzinfo=UTC)
        )
        sender.send(record).result(timeout=10)
    sender.close(5.0)


def read(bus: KafkaBus, topic: str) -> list[Message]:
    view = bus.view(topic)
    until = time.monotonic() + 20
    found: list[Message] = []
    while not view.caught_up:
        assert time.monotonic() < until
        found += view.poll(0.2)
    view.close()
    return found


@pytest.mark.integration
def test_letters_are_listed_shown_and_sent_again_as_they_were(
    tailrace: Command, bus: KafkaBus
) -> None:
    assert tailrace("dead", "list").stdout.strip() == "no dead letters"
    send(bus, ORIGINAL)

    listed = tailrace("dead", "list", "--json")
    (line,) = map(json.loads, listed.stdout.splitlines())
    assert line["id"] == "drift-monitor/0/0"
    assert line["origin"] == "label.arrived[0]@17"
    assert line["reason"] == "ValueError: no JSON"
    assert "drift-monitor/0/0" in tailrace("dead", "list", "drift-monitor").stdout
    assert json.loads(tailrace("dead", "show", line["id"]).stdout)["value"] == '{"label": 2'

    sent = tailrace("dead", "resend", line["id"])
    assert sent.returncode == 0, sent.stderr
    assert sent.stdout.strip() == "drift-monitor/0/0 is in label.arrived again"
    (again,) = read(bus, "label.arrived")
    assert (again.key, again.value, again.headers) == (
        ORIGINAL.key,
        ORIGINAL.value,
        ORIGINAL.headers,
    )


@pytest.mark.integration
def test_wrong_names_are_refused_with_the_right_ones(tailrace: Command, bus: KafkaBus) -> None:
    unknown = tailrace("dead", "list", "drift")
    assert unknown.returncode == 2
    assert "there are" in unknown.stderr
    missing = tailrace("dead", "resend", "ingest/0/7")
    assert missing.returncode == 1
    assert "ingest/0/7" in missing.stderr


def test_without_a_broker_the_remedy_is_reported(tailrace: Command) -> None:
    away = tailrace("dead", "list")
    assert away.returncode == 1
    assert "tailrace up" in away.stderr
    assert "Traceback" not in away.stderr
