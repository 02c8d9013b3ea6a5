"""Stacks of their own."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from local.stack.settings import StackSettings, free_ports


@pytest.fixture
def stack_of(tmp_path: Path) -> Callable[[Path], dict[str, str]]:
    """Makes the environment of a stack with the models of a folder.

    It has a home and ports of its own, and nothing of what the shell exports.
    """

    def environment(models: Path) -> dict[str, str]:
        names = {name.upper() for name in StackSettings.model_fields}
        ports = {name.upper(): str(port) for name, port in free_ports().items()}
        return {
            **{name: value for name, value in os.environ.items() if name not in names},
            **ports,
            "TAILRACE_HOME": str(tmp_path / "home"),
            "MODELS_DIR": str(models),
            "COLUMNS": "200",
            "BROKER": os.environ.get("TEST_BROKER", "embedded"),
        }

    return environment
