"""`tailrace status` says where a stack is that this home has not."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from local.stack.layout import Layout
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
