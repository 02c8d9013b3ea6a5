"""What a person sees who starts a service with `--help`, or with an argument that it lacks."""

from typing import Any

import pytest
from pydantic import Field, SecretStr

from servicekit.bus import PartitionOffset
from servicekit.command import carry_out, read_command, settings_of_command
from servicekit.errors import RefusedResetError, UnavailableError
from servicekit.loops.loop import SessionLoop
from servicekit.loops.offset_reset import OffsetReset, ResetReport
from servicekit.settings import ServiceSettings
from servicekit.start import Start


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


def read(*arguments: str, state: bool = True) -> OffsetReset | None:
    return read_command(Settings, "counter", "Counts things.", arguments, state=state)[1]


def test_where_to_go_on_is_an_argument_and_no_setting() -> None:
    assert read() is None
    assert read("--from", "earliest") == OffsetReset(Start("earliest"))
    assert read("--from", "latest", "--reset-state") == OffsetReset(
        Start("latest"), reset_state=True
    )


@pytest.mark.parametrize(
    ("arguments", "state", "said"),
    [
        (["--from", "noon"], True, "'noon' is no place to read from: say earliest"),
        (["--from", "2026-11-25T06:00"], True, "has no zone"),
        (["--reset-state"], True, "--reset-state goes with --from WHERE"),
        (["--from", "latest", "--reset-state"], False, "unrecognized arguments: --reset-state"),
    ],
)
def test_a_place_that_is_none_ends_it_before_it_does_anything(
    capsys: pytest.CaptureFixture[str], arguments: list[str], state: bool, said: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        read(*arguments, state=state)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


class Reader(SessionLoop[Any]):
    name = "counter-0"

    def __init__(self, outcome: ResetReport | Exception) -> None:
        self._outcome = outcome

    def step(self) -> int:
        raise AssertionError("it is only reset")

    def _commit_reset(self, offsets: object, *, reset_state: bool) -> int:
        raise AssertionError("the test says what comes of it")

    def reset_offsets(self, reset: OffsetReset) -> ResetReport:
        if isinstance(self._outcome, Exception):
            raise self._outcome
        return self._outcome


def test_what_was_reset_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    offsets = [
        PartitionOffset("asked", 0, 12, 3),
        PartitionOffset("asked", 1, 4, 4),
        PartitionOffset("told", 0, None, 9),
    ]
    code = carry_out(OffsetReset(Start("earliest")), [Reader(ResetReport("counter-0", offsets, 7))])
    assert (code, capsys.readouterr().out.splitlines()) == (
        0,
        [
            "counter-0: asked[0] goes on at 3, no longer at 12",
            "counter-0: asked[1] stays at 4",
            "counter-0: told[0] goes on at 9, no longer at the start",
            "counter-0: forgot 7 keys of its state",
        ],
    )


@pytest.mark.parametrize(
    ("error", "code"),
    [(RefusedResetError("it would count twice"), 2), (UnavailableError("nobody answers"), 1)],
)
def test_what_was_not_reset_is_said_with_why(
    capsys: pytest.CaptureFixture[str], error: Exception, code: int
) -> None:
    assert carry_out(OffsetReset(Start("earliest")), [Reader(error)]) == code
    said = capsys.readouterr()
    assert (said.out, str(error) in said.err) == ("", True)
