"""The servers that other suites rely on start, answer, and are gone afterwards."""

import socket
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from local.broker import broker
from local.process import running
from local.valkey import embedded_valkey


def answers_on(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.integration
def test_a_broker_answers_while_the_block_runs_and_is_gone_after_it(tmp_path: Path) -> None:
    with broker(tmp_path) as bootstrap:
        assert AdminClient({"bootstrap.servers": bootstrap}).list_topics(timeout=5).brokers
        port = int(bootstrap.rpartition(":")[2])
    assert not answers_on(port)


@pytest.mark.integration
def test_valkey_answers_while_the_block_runs_and_is_gone_after_it(tmp_path: Path) -> None:
    with embedded_valkey(tmp_path) as url:
        port = int(url.removesuffix("/0").rpartition(":")[2])
        assert answers_on(port)
    assert not answers_on(port)


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
