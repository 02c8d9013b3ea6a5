"""`tailrace topics` on a real broker of its own."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from local.broker import broker
from servicekit.kafka import KafkaBus
from tailrace.cli import app

pytestmark = pytest.mark.integration


@pytest.fixture
def bootstrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with broker(tmp_path / "broker") as address:
        monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", address)
        monkeypatch.setenv("COLUMNS", "200")
        yield address


def run(*words: str, answer: str = "") -> tuple[int, str]:
    done = CliRunner().invoke(app, ["topics", *words], input=answer)
    return done.exit_code, done.output


def planned(*words: str) -> dict[str, str]:
    """Action by topic."""
    code, output = run("plan", "--json", *words)
    assert code == 0, output
    return {step["topic"]: step["action"] for step in map(json.loads, output.splitlines())}


def test_topics_are_planned_made_grown_and_refused(
    bootstrap: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert set(planned().values()) == {"create"}
    code, output = run("apply", answer="n\n")
    assert (code, "record.received" in output, "Make 23 changes?" in output) == (1, True, True)
    assert set(planned().values()) == {"create"}, "it was asked not to"

    code, output = run("apply", "--yes")
    assert code == 0, output
    assert planned() == {}
    assert run("plan", "--check")[0] == 0

    # Three partitions: for what may grow, and for nothing else; and never back.
    assert planned("--partitions", "3") == {
        "record.received": "grow",
        "score.requested": "grow",
        "label.arrived": "refuse",
        "prediction.logged": "refuse",
    }
    code, output = run("apply", "--yes", "--partitions", "3")
    assert code == 1
    assert "keep state by partition" in output
    assert planned("--partitions", "1") == {
        "record.received": "refuse",
        "score.requested": "refuse",
    }

    monkeypatch.setenv("KAFKA_TOPIC_OPTIONS", '{"arm.measured/retention.ms": "86400000"}')
    monkeypatch.setenv("KAFKA_PARTITIONS", "3")
    assert planned()["arm.measured"] == "configure"
    run("apply", "--yes")
    assert "arm.measured" not in planned()
    listed = {row["topic"]: row for row in map(json.loads, run("list", "--json")[1].splitlines())}
    assert listed["record.received"]["partitions"] == 3
    assert listed["arm.measured"]["config"]["retention.ms"] == "86400000"
    assert listed["deployer.state"]["partitions"] is None


def test_what_the_services_make_is_what_the_contracts_say(bootstrap: str) -> None:
    view = KafkaBus(bootstrap).view("rollout.step")
    view.poll(0)
    view.close()
    assert planned() == {}


def test_a_broker_that_is_away_is_reported_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setattr("tailrace.topics.admin.SECONDS", 0.3)
    code, output = run("plan")
    assert code == 1
    assert "tailrace up" in output
