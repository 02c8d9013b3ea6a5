"""A binary, a multiclass and a regression model go round the loop at once, in one stack."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

TOOL = Path(sys.executable).with_name("tailrace")
MODELS = Path(__file__).parent / "models"
TASKS = {"wetness": "binary", "skies": "multiclass", "amounts": "regression"}


@pytest.mark.integration
@pytest.mark.timeout(600)
def test_models_of_three_tasks_drift_and_are_replaced_in_one_stack(
    stack_of: Callable[[Path], dict[str, str]], tmp_path: Path
) -> None:
    environment = stack_of(MODELS)
    named = [word for model in TASKS for word in ("--model", model)]
    command = [TOOL, "demo", *named, "--report", tmp_path / "report"]
    try:
        done = subprocess.run(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=540,
            check=False,
        )
    finally:
        home = environment["TAILRACE_HOME"] + "/demo"
        down = environment | {"TAILRACE_HOME": home}
        subprocess.run([TOOL, "down"], env=down, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout[-6000:]
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    assert all(report["checks"].values()), report["checks"]
    assert {name: found["task"] for name, found in report["models"].items()} == TASKS
    for name, found in report["models"].items():
        assert found["drift"][0]["kind"] == "performance", name
        assert found["predictions_logged"] == found["predictions_asked"] == 14 * 160
        weights = [step["weight"] for step in found["rollouts"]]
        assert weights[:4] == [0.0, 0.5, 1.0, 0.0], name
        by_version = found["mean_loss_by_version"]
        assert by_version["2"] < by_version["1"] / 2, (name, by_version)
    assert (tmp_path / "report" / "loss.png").stat().st_size > 10_000
