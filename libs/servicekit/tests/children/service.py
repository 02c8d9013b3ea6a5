"""A service for the tests of run(): what it does is said by its arguments."""

import asyncio
import logging
import sys
import threading
from pathlib import Path

from fastapi import FastAPI

from servicekit.run import run
from servicekit.settings import ServiceSettings, load_settings

log = logging.getLogger("child")


class Worker:
    name = "worker"
    ready = False

    def __init__(self, how: str, folder: Path) -> None:
        self._how = how
        self._folder = folder

    def run(self, stop: threading.Event) -> None:
        if self._how == "crash":
            raise ValueError("the worker is broken")
        if self._how == "return":
            return
        self.ready = self._how != "unready"
        if self._how == "deaf":
            threading.Event().wait()
        stop.wait()
        (self._folder / "worker-stopped").write_text("")


def main(how: str, folder: Path) -> None:
    settings = load_settings(ServiceSettings)
    worker = Worker(how, folder)
    api = FastAPI()

    @api.get("/slow")
    async def slow() -> dict[str, bool]:
        (folder / "request-begun").write_text("")
        while not (folder / "let-go").exists():  # noqa: ASYNC110 - the test is another process
            await asyncio.sleep(0.01)
        return {"worker_stopped": (folder / "worker-stopped").exists()}

    run("child", settings, [worker], api)
    log.info("run() came back")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
