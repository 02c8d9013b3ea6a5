"""`tailrace smoke` and `tailrace watch` against a server that says what a predictor would."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tailrace.cli import app

ANSWER = {
    "prediction_id": "p",
    "prediction": 1,
    "confidence": 0.8,
    "model": "m",
    "version": "2",
    "arm": "champion",
    "latency_ms": 1.5,
}


def routing(champion: str, challenger: str | None = None, weight: float = 0.0) -> dict[str, Any]:
    return {
        "model": "m",
        "rollout_id": "r",
        "sequence": 1,
        "phase": "canary" if challenger else "stable",
        "weight": weight,
        "champion": {"version": champion},
        "challenger": challenger and {"version": challenger},
    }


class Predictor:
    """Answers as a test asks for, one routing after another, the last for ever."""

    def __init__(self) -> None:
        self.status = "ok"
        self.answer: dict[str, Any] = ANSWER
        self.routings: list[dict[str, Any] | None] = [routing("1")]
        self.url = ""

    def page(self, path: str) -> tuple[int, dict[str, Any]]:
        if path == "/health":
            return 200, {"status": self.status, "models": {"m": ["1"]}, "failures": ["no file"]}
        if path == "/predict":
            return 200, self.answer
        now = self.routings.pop(0) if len(self.routings) > 1 else self.routings[0]
        return (503, {}) if now is None else (200, {"models": [now]})


@pytest.fixture
def predictor() -> Iterator[Predictor]:
    predictor = Predictor()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            status, page = predictor.page(self.path)
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(page).encode())

        do_POST = do_GET  # noqa: N815 - the base class looks for it

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    predictor.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield predictor
    server.shutdown()
    server.server_close()
    thread.join()


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, words)
    return done.exit_code, done.output


def test_smoke_names_what_it_found_well(predictor: Predictor, tmp_path: Path) -> None:
    file = tmp_path / "request.json"
    file.write_text('{"model": "m"}')
    code, said = run("smoke", "--url", predictor.url, "--model", "m", "--request", str(file))
    assert code == 0, said
    assert "m is stable: version 1 serves" in said
    assert "version 2 (champion) predicts 1 with confidence 0.80 in 1.5 ms" in said


def test_smoke_fails_with_the_reason(predictor: Predictor, tmp_path: Path) -> None:
    file = tmp_path / "request.json"
    file.write_text('{"model": "m"}')
    code, said = run("smoke", "--url", predictor.url, "--model", "other")
    assert code == 1
    assert "does not serve other; it serves m" in said
    predictor.answer = {**ANSWER}
    del predictor.answer["arm"]
    code, said = run("smoke", "--url", predictor.url, "--request", str(file))
    assert code == 1
    assert "the answer lacks arm" in said
    predictor.status = "degraded"
    code, said = run("smoke", "--url", predictor.url)
    assert code == 1
    assert "is degraded" in said
    assert "no file" in said
    code, said = run("smoke", "--url", "http://127.0.0.1:1")
    assert code == 1
    assert "does not answer" in said
    code, said = run("smoke", "--url", "localhost:80")
    assert code == 1
    assert "write http:// or https://" in said


@pytest.mark.parametrize(
    ("routings", "code", "said"),
    [
        ([routing("1")], 0, "version 1 serves alone, and nothing is on trial"),
        ([routing("1", "2", 0.1), routing("1", "2", 0.5), routing("2")], 0, "version 2 was prom"),
        ([routing("1", "2", 0.1), None, routing("1")], 1, "version 2 was rolled back"),
        ([routing("1", "2", 0.1)], 3, "not over after 1 s"),
    ],
)
def test_watch_ends_with_what_became_of_the_challenger(
    predictor: Predictor, routings: list[dict[str, Any] | None], code: int, said: str
) -> None:
    predictor.routings = routings
    options = ("--model", "m", "--every", "0.1", "--timeout", "1")
    ended, printed = run("watch", "--url", predictor.url, *options)
    assert (ended, said in printed) == (code, True), printed
