"""Ready means that the part itself says so, not that a port is open."""

import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from local.endpoint import Endpoint, Protocol
from local.process import free_port


@pytest.fixture
def server() -> Iterator[Callable[[int], str]]:
    started: list[tuple[HTTPServer, threading.Thread]] = []

    def serve(status: int) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status if self.path == "/readyz" else 404)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        http = HTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        started.append((http, thread))
        return f"http://127.0.0.1:{http.server_port}"

    yield serve
    for http, thread in started:
        http.shutdown()
        thread.join()
        http.server_close()


def test_a_service_is_ready_when_readyz_says_200(server: Callable[[int], str]) -> None:
    assert Endpoint(Protocol.HTTP, server(200)).ready()
    assert not Endpoint(Protocol.HTTP, server(503)).ready()


@pytest.mark.parametrize(
    ("protocol", "form"),
    [
        (Protocol.HTTP, "http://{}"),
        (Protocol.REDIS, "redis://{}/0"),
        (Protocol.KAFKA, "{}"),
    ],
)
def test_where_nobody_listens_nothing_is_ready(protocol: Protocol, form: str) -> None:
    assert not Endpoint(protocol, form.format(f"127.0.0.1:{free_port()}")).ready()


@pytest.mark.parametrize(
    ("protocol", "form"),
    [
        (Protocol.HTTP, "http://{}"),
        (Protocol.REDIS, "redis://{}/0"),
        (Protocol.KAFKA, "{}"),
    ],
)
def test_an_open_port_that_says_nothing_is_not_ready(protocol: Protocol, form: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"127.0.0.1:{mute.getsockname()[1]}"
        assert not Endpoint(protocol, form.format(address)).ready(timeout=0.2)


@pytest.mark.integration
def test_real_servers_are_ready(kafka_bootstrap: str, redis_url: str) -> None:
    assert Endpoint(Protocol.KAFKA, kafka_bootstrap).ready()
    assert Endpoint(Protocol.REDIS, redis_url).ready()


def test_a_password_is_not_shown() -> None:
    endpoint = Endpoint(Protocol.REDIS, "redis://user:geheim@there:6379/0")
    assert endpoint.shown == "redis://there:6379/0"
