"""Settings as a fresh checkout has them, and a version of Apache Kafka."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from local.stack.settings import StackSettings


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., StackSettings]:
    for name in StackSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)

    def build(**given: Any) -> StackSettings:
        return StackSettings(**{"tailrace_home": tmp_path / "home", **given})

    return build


@pytest.fixture
def pom(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("local.servers.apache.shutil.which", lambda tool: f"/usr/bin/{tool}")
    path = tmp_path / "pom.xml"
    path.write_text("<p><properties><kafka.version>4.1.0</kafka.version></properties></p>")
    return path
