"""A service of several workers for test_supervisor: files in a folder say what they do."""

import asyncio
import os
import sys
import threading
import time
from pathlib import Path

from predictor.workers.shared_metrics import observe, shared_metrics
from predictor.workers.worker import ForkedWorker
from servicekit.settings import ServiceSettings, load_settings

COUNT = 2


class Part:
    """Breaks by the file `broken`, before it is ready; nor is it while `late` is there, if it was
    from the start."""

    name = "part"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.ready = False

    def run(self, stop: threading.Event) -> None:
        if (self._folder / "broken").exists():
            raise ValueError("broken")
        while (self._folder / "late").exists() and not stop.wait(0.01):
            pass
        self.ready = True
        stop.wait()
        (self._folder / f"stopped-{os.getpid()}").write_text("")


def serve(worker: ForkedWorker, settings: ServiceSettings, folder: Path) -> None:
    if (folder / "unusable").exists():
        sys.exit(2)

    from fastapi import FastAPI
    from prometheus_client import REGISTRY, Counter, Gauge

    from servicekit.run import run

    asked = Counter("asked_total", "Requests.", registry=REGISTRY)
    busy = Gauge("busy", "Under way.", multiprocess_mode="livesum", registry=REGISTRY)
    observe(busy, lambda: 3)
    api = FastAPI()

    @api.get("/pid")
    async def pid() -> int:
        asked.inc()
        return os.getpid()

    @api.get("/slow")
    async def slow() -> int:
        (folder / "request-begun").write_text("")
        while not (folder / "let-go").exists():  # noqa: ASYNC110 - the test is another process
            await asyncio.sleep(0.01)
        return os.getpid()

    @api.get("/hang")
    async def hang() -> None:
        time.sleep(600)  # noqa: ASYNC251 - that is what is meant

    run("child", settings, [Part(folder)], api, worker=worker)


def main(folder: Path) -> int:
    from predictor.workers.supervisor import Supervisor

    settings = load_settings(ServiceSettings)
    return Supervisor(
        "child",
        settings,
        lambda worker: serve(worker, settings, folder),
        workers=COUNT,
        silence_seconds=1.5,
    ).run()


if __name__ == "__main__":
    with shared_metrics():
        sys.exit(main(Path(sys.argv[1])))
