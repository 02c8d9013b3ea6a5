"""Settings as a fresh checkout has them."""

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
