"""The console script."""

import pytest

from drift_monitor.__main__ import main
from drift_monitor.settings import WindowsSettings


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--help"], "windows|watch"),
        (["windows", "--help"], "arm.measured"),
        (["watch", "-h"], "/v1/live"),
    ],
)
def test_help_says_what_it_does(capsys, arguments, words):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 0
    assert words in capsys.readouterr().out


def test_without_a_command_it_says_which_there_are(capsys):
    with pytest.raises(SystemExit) as end:
        main([])
    assert end.value.code == 2
    assert "windows|watch" in capsys.readouterr().err


def test_more_than_one_replica_of_the_windows_is_refused():
    with pytest.raises(ValueError, match="less than or equal to 1"):
        WindowsSettings(replica_slots=2)
