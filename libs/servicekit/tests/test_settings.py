"""Settings from the environment, and what a person reads when one is wrong."""

import pytest
from pydantic import Field, SecretStr

from servicekit.settings import ServiceSettings, load_settings


class Settings(ServiceSettings):
    model_name: str
    """Name of the model to serve."""
    limits: dict[str, int] = Field(default_factory=dict)
    """Limits by name, as JSON."""
    password: SecretStr = Field(default=SecretStr(""), max_length=4)
    """Password of the store."""


def test_a_setting_comes_from_the_variable_of_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODEL_NAME", "flight_delay")
    monkeypatch.setenv("LIMITS", '{"rows": 3}')
    monkeypatch.setenv("HTTP_PORT", "")
    settings = load_settings(Settings)
    assert (settings.model_name, settings.limits) == ("flight_delay", {"rows": 3})
    assert settings.http_port == 8080


@pytest.mark.parametrize(
    ("variable", "value", "line"),
    [
        ("MODEL_NAME", None, "MODEL_NAME is not set: Field required; set it to: Name of the"),
        ("HTTP_PORT", "65536", "HTTP_PORT='65536': Input should be less than or equal to 65535"),
        ("REPLICA_SLOTS", "two", "REPLICA_SLOTS='two': Input should be a valid integer"),
        ("PASSWORD", "hunter2", "PASSWORD=…: "),
    ],
)
def test_a_wrong_setting_is_named_with_value_and_remedy(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    variable: str,
    value: str | None,
    line: str,
) -> None:
    monkeypatch.setenv("MODEL_NAME", "flight_delay")
    if value is None:
        monkeypatch.delenv(variable)
    else:
        monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit) as ended:
        load_settings(Settings)
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said.startswith(line)
    assert len(said.splitlines()) == 1
    assert "hunter2" not in said


def test_a_setting_that_takes_json_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MODEL_NAME", "m")
    monkeypatch.setenv("LIMITS", "{rows: 3}")
    with pytest.raises(SystemExit):
        load_settings(Settings)
    said = capsys.readouterr().err
    assert said == "LIMITS='{rows: 3}': it takes JSON; set it to: Limits by name, as JSON\n"
