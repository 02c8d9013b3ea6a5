"""The nightly check of benchmarks: what it calls worse, and what it lets pass."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from bench.regression.ratios import changes, ratios

ROOT = Path(__file__).parents[2]


def serving(rate: float, latency: float) -> dict[str, object]:
    return {
        "bars": [
            {"bar": "rate", "value": rate, "wanted": ">= 6"},
            {"bar": "latency", "value": latency, "wanted": "< 0.1"},
        ]
    }


def kit(bare: float, ours: float) -> dict[str, object]:
    return {
        "loops": [
            {"loop": "bare", "batch": 500, "events_per_second": bare},
            {"loop": "kit", "batch": 500, "events_per_second": ours},
        ]
    }


def test_a_rate_that_falls_and_a_latency_that_rises_are_worse() -> None:
    found = changes(ratios(serving(4, 0.1)), ratios(serving(3, 0.15)))
    assert [(each.name, each.worse) for each in found] == [
        ("latency", pytest.approx(0.5)),
        ("rate", pytest.approx(0.25)),
    ]


def test_a_slower_machine_changes_no_ratio() -> None:
    assert changes(ratios(kit(1000, 800)), ratios(kit(500, 400)))[0].worse == pytest.approx(0)


def test_a_file_of_another_benchmark_is_told() -> None:
    with pytest.raises(ValueError, match="of which benchmark"):
        ratios({"rows": 1})


@pytest.mark.parametrize(("rate", "code"), [(3.0, 0), (2.0, 1)])
def test_the_command_fails_when_more_is_lost_than_is_allowed(
    tmp_path: Path, rate: float, code: int
) -> None:
    before, after = tmp_path / "before.json", tmp_path / "after.json"
    before.write_text(json.dumps(serving(4, 0.1)))
    after.write_text(json.dumps(serving(rate, 0.1)))
    done = subprocess.run(
        [sys.executable, "-m", "bench.regression", str(before), str(after)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert ("WORSE" in done.stdout) is bool(code)


@pytest.mark.parametrize("name", ["serving.json", "kit_throughput.json"])
def test_what_is_committed_can_be_held_to(name: str) -> None:
    assert ratios(json.loads((ROOT / "bench/results" / name).read_text()))
