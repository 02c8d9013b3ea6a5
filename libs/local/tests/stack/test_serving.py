"""What is in service is told in a line a model."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from local.process import free_port
from local.stack.serving import told


@pytest.fixture
def answering() -> Iterator[Callable[[Any], str]]:
    """A server on loopback that answers every GET with the same JSON."""
    servers: list[HTTPServer] = []

    def serve(page: Any) -> str:
        class Page(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(json.dumps(page).encode())

            def log_message(self, *_: object) -> None:
                pass

        server = HTTPServer(("127.0.0.1", 0), Page)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def model(**fields: Any) -> dict[str, Any]:
    champion = {"version": "1"}
    stable = {
        "model": "m",
        "champion": champion,
        "challenger": None,
        "weight": 0,
        "phase": "stable",
    }
    return stable | fields


def test_a_canary_is_told_with_its_share(answering: Callable[[Any], str]) -> None:
    canary = model(challenger={"version": "2"}, weight=0.1, phase="canary")
    assert told(answering({"models": [model(), canary], "failures": []})) == [
        "m: version 1 serves (stable)",
        "m: version 1 serves, version 2 at 10% (canary)",
    ]


def test_a_version_that_was_not_loaded_is_told_with_the_reason(
    answering: Callable[[Any], str],
) -> None:
    failure = {"model": "m", "version": "2", "message": "sha256 differs"}
    page = {"models": [], "failures": [failure]}
    assert told(answering(page)) == ["m: version 2 not loaded: sha256 differs"]


def test_no_model_is_told(answering: Callable[[Any], str]) -> None:
    assert told(answering({"models": [], "failures": []})) == ["no model is in service yet"]


@pytest.mark.parametrize("page", [[], {}, {"models": [{}], "failures": []}])
def test_another_server_is_no_predictor(answering: Callable[[Any], str], page: Any) -> None:
    with pytest.raises(ValueError, match="no list of models"):
        told(answering(page))


def test_nobody_answers() -> None:
    with pytest.raises(OSError, match="refused"):
        told(f"http://127.0.0.1:{free_port()}")
