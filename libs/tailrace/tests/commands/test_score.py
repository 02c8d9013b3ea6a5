"""`tailrace score` hands its options to the predictor's entry, in the stack's environment."""

import subprocess
import sys
from typing import Any

import pytest
from typer.testing import CliRunner

from tailrace.cli import app


def test_options_exit_code_and_environment_go_through(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Any] = []

    def run(command: list[str], *, env: dict[str, str], check: bool) -> Any:
        ran.append((command, env))
        return subprocess.CompletedProcess(command, 3)

    monkeypatch.setattr("tailrace.commands.score.subprocess.run", run)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://models.example")
    monkeypatch.delenv("LAKE_URI", raising=False)
    done = CliRunner().invoke(app, ["score", "--model", "m", "--mode=append", "--help"])
    assert done.exit_code == 3
    ((command, environment),) = ran
    assert command == [
        *(sys.executable, "-m", "predictor.batch"),
        *("--model", "m", "--mode=append", "--help"),
    ]
    assert environment["LAKE_URI"].endswith("/lake")
    assert environment["MLFLOW_TRACKING_URI"] == "http://models.example"
