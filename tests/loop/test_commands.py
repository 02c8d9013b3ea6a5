"""`tailrace smoke` and `tailrace watch` over HTTP, against the predictor that the loop serves."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from typer.testing import CliRunner

from local.process import free_port
from tailrace.cli import app


@contextmanager
def served(site: Any) -> Iterator[str]:
    """The URL at which an application answers on loopback."""
    port = free_port()
    config = uvicorn.Config(site, host="127.0.0.1", port=port, log_level="error", lifespan="off")
    server = uvicorn.Server(config)
    started = threading.Event()

    async def run() -> None:
        serving = asyncio.create_task(server.serve())
        while not server.started and not serving.done():  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.005)
        started.set()
        await serving

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    try:
        assert started.wait(10)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, words)
    return done.exit_code, done.output


@pytest.fixture(scope="module")
def begun(new_loop: Callable[[], Any]) -> Any:
    """A loop with a first version."""
    loop = new_loop()
    loop.begin()
    return loop


def test_fault_4_12_smoke_reads_the_answer_of_our_own_predictor(begun: Any, tmp_path: Path) -> None:
    request = tmp_path / "request.json"
    request.write_text(
        json.dumps({"model": begun.model, "entity_id": "smoke", "features": {"x": 1}})
    )
    with served(begun.predictor) as url:
        code, said = run(
            *("smoke", "--url", url, "--model", begun.model, "--request", str(request))
        )
        assert code == 0, said
        assert "version 1 (champion) predicts 1 with confidence 0." in said
        code, said = run("smoke", "--url", url, "--model", "nobodys")
        assert code == 1
        assert f"does not serve nobodys; it serves {begun.model}" in said


def test_watch_reads_the_routing_of_our_own_predictor(begun: Any) -> None:
    with served(begun.predictor) as url:
        code, said = run("watch", "--url", url, "--model", begun.model, "--timeout", "5")
        assert code == 0, said
        assert "version 1 serves alone, and nothing is on trial" in said
        code, said = run("watch", "--url", url, "--model", "nobodys", "--timeout", "5")
        assert code == 1
        assert "does not serve nobodys" in said
