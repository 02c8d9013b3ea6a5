"""The predictor on real ports, over HTTP and gRPC."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import uvicorn
from pydantic import SecretStr

from event_schemas.policy import Feature
from local.process import free_port
from predictor.app import shortcut

NUMBERS = (
    Feature(name="hour", kind="number", source="request"),
    Feature(name="distance", kind="number", source="request"),
)
TOKEN = "a-token-of-the-testers"
CATEGORIES = (
    Feature(name="carrier", kind="category", source="request"),
    Feature(name="origin", kind="category", source="request"),
)


@dataclass
class Ports:
    """Where it listens."""

    http: str
    grpc: str
    lab: Any
    token: str = TOKEN
    numbers: tuple[Feature, ...] = NUMBERS


@pytest.fixture
def served(lab: Any) -> Iterator[Ports]:
    """Three models: `numbers` (with a challenger), `categories` and `mixed`."""
    http, grpc = free_port(), free_port()
    lab.start(grpc_port=grpc, override_token=SecretStr(TOKEN))
    numbers = lab.version(1, NUMBERS, model="numbers")
    lab.announce(
        lab.step(0, numbers, lab.version(2, NUMBERS, model="numbers", bias=1.0), weight=0.0),
        lab.step(0, lab.version(1, CATEGORIES, model="categories")),
        lab.step(0, lab.version(1, CATEGORIES + NUMBERS, model="mixed")),
    )
    server = uvicorn.Server(
        uvicorn.Config(shortcut(lab.app), host="127.0.0.1", port=http, log_config=None)
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        assert thread.is_alive(), "it ended"
        assert time.monotonic() < deadline, "it is not up"
        time.sleep(0.01)
    try:
        yield Ports(f"127.0.0.1:{http}", f"127.0.0.1:{grpc}", lab)
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()
