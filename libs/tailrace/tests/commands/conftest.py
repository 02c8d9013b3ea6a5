"""The command as a user types it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local.process import free_port

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / ("a home whose path no socket address could hold " * 3) / "home"


@pytest.fixture
def environment(home: Path) -> dict[str, str]:
    own = {
        "TAILRACE_HOME": str(home),
        "KAFKA_PORT": str(free_port()),
        "VALKEY_PORT": str(free_port()),
        "MLFLOW_PORT": str(free_port()),
        "COLUMNS": "200",
        "BROKER": os.environ.get("TEST_BROKER", "embedded"),
    }
    others = ("KAFKA_BOOTSTRAP_SERVERS", "REDIS_URL", "MLFLOW_TRACKING_URI")
    return {name: value for name, value in os.environ.items() if name not in others} | own


@pytest.fixture
def tailrace(
    environment: dict[str, str],
) -> Iterator[Command]:
    tool = Path(sys.executable).with_name("tailrace")

    def run(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [tool, *words], env=environment, capture_output=True, text=True, timeout=60
        )

    yield run
    run("down")
