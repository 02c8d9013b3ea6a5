"""Session-wide pytest fixtures for tests that want a real broker or a real Valkey."""

from collections.abc import Iterator

import pytest

from servicekit.testing.broker import embedded_broker
from servicekit.testing.valkey import embedded_valkey


@pytest.fixture(scope="session")
def kafka_bootstrap(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Bootstrap address of one broker for the whole session: use topic names of your own."""
    with embedded_broker(tmp_path_factory.mktemp("kafka")) as bootstrap:
        yield bootstrap


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of one Valkey for the whole session: use keys of your own."""
    with embedded_valkey(tmp_path_factory.mktemp("valkey")) as url:
        yield url
