import socket
import threading
import time
from collections.abc import Iterator

import pytest

from local.proxy import Proxies, Proxy, proxies


@pytest.fixture
def echo() -> Iterator[int]:
    """Port of a server that sends back what it gets."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve(link: socket.socket) -> None:
        with link:
            try:
                while data := link.recv(65536):
                    link.sendall(data)
            except OSError:
                pass

    def accept() -> None:
        while True:
            try:
                link, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(link,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join(5)


@pytest.fixture
def running() -> Iterator[Proxies]:
    with proxies() as made:
        yield made


@pytest.fixture
def proxy(running: Proxies, echo: int) -> Proxy:
    return running.before(echo)


def connect(proxy: Proxy, timeout: float = 5.0) -> socket.socket:
    return socket.create_connection(("127.0.0.1", proxy.port), timeout=timeout)


def says(link: socket.socket, words: bytes) -> bytes:
    link.sendall(words)
    answer = b""
    while len(answer) < len(words):
        part = link.recv(65536)
        if not part:
            break
        answer += part
    return answer


def is_closed(link: socket.socket) -> bool:
    """Whether the other end closes it, or resets it, which is as good."""
    try:
        return link.recv(1) == b""
    except ConnectionError:
        return True


def test_what_passes_is_unchanged(proxy: Proxy) -> None:
    words = bytes(range(256)) * 4000
    with connect(proxy) as link:
        sending = threading.Thread(target=link.sendall, args=(words,))
        sending.start()
        answer = b""
        while len(answer) < len(words):
            answer += link.recv(65536)
        sending.join()
    assert answer == words


def test_a_cut_resets_connections_old_and_new_until_it_is_mended(proxy: Proxy) -> None:
    with connect(proxy) as link:
        assert says(link, b"hello") == b"hello"
        proxy.cut()
        assert is_closed(link)
    with connect(proxy) as link:
        assert is_closed(link)
    proxy.mend()
    with connect(proxy) as link:
        assert says(link, b"again") == b"again"


def test_what_is_swallowed_comes_out_in_its_order_when_mended(proxy: Proxy) -> None:
    with connect(proxy, timeout=0.3) as link:
        assert says(link, b"1") == b"1"
        proxy.swallow()
        link.sendall(b"2")
        with pytest.raises(TimeoutError):
            link.recv(1)
        link.sendall(b"3")
        proxy.mend()
        link.settimeout(5)
        assert link.recv(1) + link.recv(1) == b"23"


def test_a_delay_counts_in_both_directions(proxy: Proxy) -> None:
    with connect(proxy) as link:
        assert says(link, b"1") == b"1"
        proxy.delay(0.1)
        begun = time.monotonic()
        assert says(link, b"2") == b"2"
        assert time.monotonic() - begun >= 0.2


def test_a_server_that_is_gone_closes_the_connection(running: Proxies) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with connect(running.before(port)) as link:
        assert is_closed(link)
