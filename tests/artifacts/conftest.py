"""What the checks of artifacts share: the root of the repository, and its tools."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def root() -> Path:
    return ROOT


@pytest.fixture
def run() -> Run:
    """Runs a tool of this environment in the root, and hands out code and output."""
    beside = Path(sys.executable).parent
    # Its `.env` and its variables would be taken for the project's.
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("COMPOSE_", "DOCKER_"))}
    path = f"{beside}:{clean.get('PATH', '')}"

    def run(*command: str | Path, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(word) for word in command],
            cwd=ROOT,
            env={**clean, **more, "PATH": path},
            capture_output=True,
            text=True,
            timeout=600,
        )

    return run
