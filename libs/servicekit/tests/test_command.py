"""What a person sees who starts a service with `--help`, or with an argument that it lacks."""

import pytest
from pydantic import Field, SecretStr

from servicekit.command import settings_of_command
from servicekit.settings import ServiceSettings


class Settings(ServiceSettings):
    """Of a service of the tests."""

    store_url: SecretStr = SecretStr("redis://:hunter2@store")
    """Where the store is."""
    max_rows: int = Field(default=7, ge=1)
    """Rows in one run."""


def test_help_lists_each_setting_with_default_and_meaning_and_no_secret(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        settings_of_command(Settings, "counter", "Counts things.", ["--help"])
    said = capsys.readouterr().out
    assert ended.value.code == 0
    assert "usage: counter [-h]" in said
    assert "Counts things." in said
    assert "  MAX_ROWS [7]\n      Rows in one run." in said
    assert "  KAFKA_BOOTSTRAP_SERVERS [127.0.0.1:19092]\n" in said
    assert "STORE_URL" in said
    assert "hunter2" not in said


def test_an_argument_that_there_is_not_ends_it_before_it_does_anything(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended:
        settings_of_command(Settings, "counter", "Counts things.", ["--port", "1"])
    assert ended.value.code == 2
    assert "unrecognized arguments: --port 1" in capsys.readouterr().err


def test_without_arguments_the_environment_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAX_ROWS", "9")
    assert settings_of_command(Settings, "counter", "Counts things.", []).max_rows == 9
