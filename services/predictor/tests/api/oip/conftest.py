"""The predictor on real ports, over HTTP and gRPC."""

import threading
import time
from collections.abc import Iterator

import pytest
import uvicorn
from pydantic import SecretStr
from services.predictor.tests.api.oip.ports import CATEGORIES, NUMBERS, TOKEN, Ports
from services.predictor.tests.lab import Lab

from local.process import free_port
from predictor.app import shortcut


@pytest.fixture
def served(lab: Lab) -> Iterator[Ports]:
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
