"""`tailrace drill` as a user types it; the steps themselves are played in `make drill`."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from local.errors import StackError
from local.stack import leftovers
from local.stack.settings import StackSettings
from tailrace.cli import app
from tailrace.drill import rehearsal
from tailrace.drill.checks import Check
from tailrace.drill.rehearsal import Outcome, Step

KEPT = Check("the champion is the same", True, "version 1")
BROKEN = Check("no event is there twice", False, "1 of model.trained")


class Stand:
    """Stands in for the steps; leaves behind what they would."""

    checks: tuple[Check, ...] = (KEPT,)
    failure: StackError | None = None

    def __init__(self, settings: StackSettings, *_: object) -> None:
        self.home = settings.home
        self.backup = settings.home / "backup.tar.gz"

    def run(self) -> Outcome:
        (self.home / "lake").mkdir(parents=True)
        self.backup.write_text("")
        if self.failure:
            raise self.failure
        return Outcome([Step("stop", 1.26)], list(self.checks), 12.34, 7)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in StackSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("TAILRACE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(rehearsal, "Rehearsal", Stand)
    monkeypatch.setattr(Stand, "checks", (KEPT,))
    monkeypatch.setattr(Stand, "failure", None)
    # It looks at every process of the machine, which takes a while.
    monkeypatch.setattr(leftovers, "find", lambda _: [])
    monkeypatch.setattr(leftovers, "stop", lambda _: [])
    return tmp_path / "home" / "drill"


def run(*words: str | Path) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["drill", *map(str, words)])
    return done.exit_code, done.output


def test_a_drill_that_passed_says_so_and_leaves_nothing(home: Path, tmp_path: Path) -> None:
    report = tmp_path / "reports" / "drill.json"
    code, said = run("--report", report)
    assert code == 0, said
    assert "✓ the champion is the same: version 1" in said
    assert "Recovery took 12.3 s" in said
    assert not home.exists()
    written = json.loads(report.read_text())
    assert (written["passed"], written["recovery_seconds"], written["backup_bytes"]) == (
        True,
        12.3,
        7,
    )
    assert written["steps"] == [{"name": "stop", "seconds": 1.3, "note": ""}]


def test_a_broken_promise_ends_it_with_1(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Stand, "checks", (KEPT, BROKEN))
    code, said = run()
    assert code == 1
    assert "✗ no event is there twice: 1 of model.trained" in said
    assert "1 of 2 promises broken" in said


def test_a_step_that_cannot_be_done_ends_it_with_1_and_leaves_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Stand, "failure", StackError("trainer was not ready"))
    code, said = run()
    assert (code, "trainer was not ready" in said) == (1, True)
    assert not home.exists()


def test_it_can_be_left_to_be_looked_at(home: Path) -> None:
    code, said = run("--keep")
    assert code == 0
    assert f"TAILRACE_HOME={home} tailrace down --wipe" in said
    assert (home / "backup.tar.gz").exists()


def test_what_is_real_is_never_lost(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "kafka.example.com:9092")
    code, said = run()
    assert (code, "KAFKA_BOOTSTRAP_SERVERS would be wiped" in said) == (1, True)
