"""Pytest fixtures for tests that want a real broker, a real Valkey, or an S3."""

from collections.abc import Iterator

import pytest

from local.broker import broker
from local.object_store import embedded_s3
from local.valkey import embedded_valkey


@pytest.fixture(scope="session")
def kafka_bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Bootstrap address of one broker for the whole session: use topic names of your own."""
    with broker(tmp_path_factory.mktemp("kafka")) as bootstrap:
        yield bootstrap


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of one Valkey for the whole session: use keys of your own."""
    with embedded_valkey(tmp_path_factory.mktemp("valkey")) as url:
        yield url


@pytest.fixture
def object_store(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """An empty bucket as `s3://…`; AWS's variables lead to it during the test."""
    with embedded_s3("tests") as variables:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        yield "s3://tests"
