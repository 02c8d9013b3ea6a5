"""A real broker and a real Valkey, up, killed, restarted and down, as a user does it."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from local.stack import leftovers
from local.stack.layout import Layout

Command = Callable[..., subprocess.CompletedProcess[str]]
TOOL = Path(sys.executable).with_name("tailrace")


@pytest.fixture
def status(tailrace: Command) -> Callable[[], dict[str, dict[str, Any]]]:
    def look() -> dict[str, dict[str, Any]]:
        return {part["name"]: part for part in json.loads(tailrace("status", "--json").stdout)}

    return look


@pytest.mark.integration
def test_a_stack_comes_up_mends_itself_and_goes_down_without_a_trace(
    tailrace: Command, status: Callable[[], dict[str, dict[str, Any]]], home: Path
) -> None:
    up = tailrace("up", "--only", "kafka,valkey", "--timeout", "30")
    assert up.returncode == 0, up.stderr
    assert "already up" in tailrace("up", "--only", "kafka,valkey").stdout

    before = status()
    assert {name: part["state"] for name, part in before.items()} == {
        "kafka": "ready",
        "valkey": "ready",
    }
    os.kill(before["valkey"]["pid"], signal.SIGKILL)
    until = time.monotonic() + 15
    while (after := status())["valkey"]["restarts"] == 0 or after["valkey"]["state"] != "ready":
        assert time.monotonic() < until, after
    assert after["valkey"]["restarts"] == 1
    assert after["kafka"]["pid"] == before["kafka"]["pid"]
    assert "Ready to accept connections" in tailrace("logs", "valkey").stdout

    supervisor = json.loads(Layout(home).record.read_text())["supervisor"]
    runtime = Path(json.loads(Layout(home).record.read_text())["runtime"])
    assert tailrace("down").returncode == 0
    assert leftovers.find(Layout(home)) == []
    assert not psutil.pid_exists(supervisor)
    assert not runtime.exists()
    assert tailrace("status").returncode == 1

    assert tailrace("down", "--wipe", "--yes").returncode == 0
    assert not home.exists()


@pytest.mark.integration
def test_processes_that_lost_their_supervisor_are_found_and_stopped(
    tailrace: Command, home: Path
) -> None:
    assert tailrace("up", "--only", "kafka,valkey").returncode == 0
    os.kill(json.loads(Layout(home).record.read_text())["supervisor"], signal.SIGKILL)
    assert "the supervisor is gone" in tailrace("status").stderr
    assert tailrace("down").stdout.strip() == "Stopped kafka, valkey."
    assert leftovers.find(Layout(home)) == []


@pytest.mark.integration
def test_a_part_that_cannot_start_takes_the_others_down_and_shows_its_last_words(
    tailrace: Command, home: Path
) -> None:
    (home / "data" / "valkey").mkdir(parents=True)
    (home / "data" / "valkey" / "appendonlydir").write_text("no folder")
    up = tailrace("up", "--only", "kafka,valkey", "--timeout", "30")
    assert up.returncode == 1
    assert "valkey ended again and again" in up.stderr
    assert "appendonlydir" in up.stderr
    assert leftovers.find(Layout(home)) == []


@pytest.mark.integration
def test_a_start_that_is_interrupted_leaves_nothing_behind(
    tailrace: Command, environment: dict[str, str], home: Path
) -> None:
    up = subprocess.Popen(
        [TOOL, "up", "--only", "kafka,valkey,mlflow"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    until = time.monotonic() + 30
    while not Layout(home).record.exists():
        assert time.monotonic() < until
        time.sleep(0.01)
    # While the supervisor starts the parts, it takes no other command.
    up.send_signal(signal.SIGINT)
    _, said = up.communicate(timeout=60)
    assert up.returncode != 0, said
    assert said.splitlines()[1:] == ["✗ stopped before the stack was in use"]
    assert leftovers.find(Layout(home)) == []
    assert "the stack is down" in tailrace("status").stderr


def test_a_wipe_leaves_what_is_not_the_stacks(tailrace: Command, home: Path) -> None:
    (home / "data").mkdir(parents=True)
    (home / "letters").mkdir()
    assert tailrace("down", "--wipe", "--yes").returncode == 0
    assert [path.name for path in home.iterdir()] == ["letters"]


def test_a_wipe_asks_first(tailrace: Command, home: Path) -> None:
    (home / "data").mkdir(parents=True)
    assert tailrace("down", "--wipe").returncode != 0
    assert (home / "data").exists()
