"""A process for tests gets a free port, and is killed when it is not wanted any more."""

import socket
from pathlib import Path

import pytest

from local.process import free_port, running


def test_a_free_port_and_those_above_it_can_be_listened_on() -> None:
    port = free_port(1, 10)
    for each in (port, port + 1, port + 10):
        socket.create_server(("127.0.0.1", each)).close()


def test_a_port_that_is_taken_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.process._is_free", lambda _: True)
    taken = {free_port() for _ in range(50)}
    assert free_port(taken=taken) not in taken


def test_a_server_that_ends_at_once_is_an_error_with_its_last_words(tmp_path: Path) -> None:
    command = ["sh", "-c", "echo cannot bind; exit 3"]
    with (
        pytest.raises(RuntimeError, match="sh ended with code 3: cannot bind"),
        running(command, log=tmp_path / "sh.log", ready=lambda: False),
    ):
        pass


def test_a_server_that_never_answers_is_killed_at_the_deadline(tmp_path: Path) -> None:
    command = ["sh", "-c", "echo $$; exec sleep 60"]
    with (
        pytest.raises(RuntimeError, match=r"sh was not ready within 0\.2 s"),
        running(command, log=tmp_path / "sh.log", ready=lambda: False, deadline=0.2),
    ):
        pass
    assert not Path("/proc", (tmp_path / "sh.log").read_text().strip()).exists()
