"""What a predictor says of itself, in a line a model."""

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from local.errors import StackError
from local.process import free_port
from tailrace.predictor import PredictorPages, Routing


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


def serving(url: str) -> list[str]:
    return PredictorPages(url).serving()


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


def test_a_canary_is_shown_with_its_share(answering: Callable[[Any], str]) -> None:
    canary = model(challenger={"version": "2"}, weight=0.1, phase="canary")
    assert serving(answering({"models": [model(), canary], "failures": []})) == [
        "m: version 1 serves (stable)",
        "m: version 1 serves, version 2 at 10% (canary)",
    ]


def test_a_version_that_was_not_loaded_is_shown_with_the_reason(
    answering: Callable[[Any], str],
) -> None:
    failure = {"model": "m", "version": "2", "message": "sha256 differs"}
    page = {"models": [], "failures": [failure]}
    assert serving(answering(page)) == ["m: version 2 not loaded: sha256 differs"]


def test_no_model_is_said_to_be_in_service(answering: Callable[[Any], str]) -> None:
    assert serving(answering({"models": [], "failures": []})) == ["no model is in service yet"]


@pytest.mark.parametrize("page", [[], {}, {"models": [{}], "failures": []}])
def test_another_server_is_no_predictor(answering: Callable[[Any], str], page: Any) -> None:
    with pytest.raises(StackError, match="no list of models"):
        serving(answering(page))


def test_nobody_answers() -> None:
    with pytest.raises(StackError, match="refused"):
        serving(f"http://127.0.0.1:{free_port()}")


@pytest.mark.parametrize(
    ("routing", "line"),
    [
        (Routing("m", "stable", 0.0, "1", None), "stable: version 1 serves"),
        (Routing("m", "canary", 0.1, "1", "2"), "canary: version 1 serves, version 2 at 10%"),
        (
            Routing("m", "canary", 0.0, "1", "2", 0.5),
            "canary: version 1 serves, version 2 in shadow of 50%",
        ),
    ],
)
def test_a_line_says_who_serves_and_who_is_under_trial(routing: Routing, line: str) -> None:
    assert str(routing) == line
