"""The servers that other suites rely on start, answer, and are gone afterwards."""

import socket
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from local.broker import broker
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
