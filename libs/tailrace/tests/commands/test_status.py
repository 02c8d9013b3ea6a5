"""`tailrace status` says where a stack is that this home has not."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from local.stack.layout import Layout
from local.stack.status import PartStatus, State
from tailrace.cli import app


@pytest.mark.parametrize("kept", [True, False])
def test_fault_4_11_status_names_the_stack_that_a_demo_has_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: bool
) -> None:
    def running(layout: Layout) -> Any:
        return object() if kept and layout.home == tmp_path / "demo" else None

    monkeypatch.setenv("TAILRACE_HOME", str(tmp_path))
    monkeypatch.setattr("local.stack.lifecycle.running", running)
    done = CliRunner().invoke(app, ["status"])
    assert done.exit_code == 1
    named = f"TAILRACE_HOME={tmp_path}/demo tailrace status"
    assert (named in done.output, "the stack is down" in done.output) == (kept, not kept)


def test_fault_4_11_json_says_which_models_are_served(
    monkeypatch: pytest.MonkeyPatch, answering: Callable[[Any], str]
) -> None:
    page = {"models": [{"model": "m", "champion": {"version": "3"}}], "failures": []}
    address = answering(page)

    def part(name: str, at: str) -> PartStatus:
        return PartStatus(name, State.READY, 1, 0, 1.0, 0.0, 1, at)

    parts = [part("predictor", address), part("ingest", "http://127.0.0.1:1")]
    monkeypatch.setattr("local.stack.lifecycle.running", lambda _: object())
    monkeypatch.setattr("local.stack.status.of", lambda *_: parts)
    done = CliRunner().invoke(app, ["status", "--json"])
    assert done.exit_code == 0, done.output
    predictor, ingest = json.loads(done.output)
    assert predictor["serves"] == page
    assert "serves" not in ingest
