"""An event that somebody makes without declaring it fails the tests of the contracts."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONTRACTS = "schemas/tests/test_events.py"
PLANTED = """
from typing import ClassVar

from event_schemas.base import EventBody


class ModelForgotten(EventBody):
    \"\"\"Nobody has listed it.\"\"\"

    type: ClassVar[str] = "model.forgotten"
    key_field: ClassVar[str] = "model"

    model: str
    \"\"\"Whose.\"\"\"
"""


def test_an_undeclared_event_fails_the_tests_of_the_contracts(tmp_path: Path) -> None:
    (tmp_path / "planted.py").write_text(PLANTED)
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "planted", "-k", "listed", CONTRACTS],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    (failed,) = [line for line in ran.stdout.splitlines() if line.startswith("FAILED")]
    assert "test_every_event_class_is_listed_once" in failed
    assert ran.returncode == 1, ran.stdout + ran.stderr
