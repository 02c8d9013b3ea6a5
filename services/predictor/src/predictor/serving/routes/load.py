"""A version that is being loaded, beside the thread that follows the rollouts."""

import os
import sys
import threading
from concurrent.futures import Future, wait
from contextlib import suppress

from event_schemas.model import ModelVersion
from predictor.serving.routes.loaded import LoadedVersion
from predictor.serving.routes.loader import Loader


class Load:
    """Loads a version on a thread of its own: one that takes minutes keeps no other model waiting.

    The thread ends with the process, whatever it waits for.
    """

    def __init__(self, loader: Loader, version: ModelVersion) -> None:
        self.version = version
        self._loader = loader
        self._future: Future[LoadedVersion] = Future()
        name = f"load {version.model} {version.version}"
        threading.Thread(target=self._run, name=name, daemon=True).start()

    def result(self, seconds: float) -> LoadedVersion | None:
        """The version, or None while it is not loaded; waits for at most so many seconds.

        Raises:
            Exception: what the loader raised.
        """
        wait([self._future], seconds)
        return self._future.result() if self._future.done() else None

    def _run(self) -> None:
        lower_thread_priority()
        try:
            self._future.set_result(self._loader.load(self.version))
        except BaseException as error:
            self._future.set_exception(error)


def lower_thread_priority() -> None:
    """Let the event loop go first where it and this thread have one core.

    To fetch a file takes milliseconds, which requests would wait for. It still gets a
    tenth of the core when the loop takes all that it can get.
    """
    if sys.platform != "linux":  # on other systems a thread has no priority of its own
        return
    thread = threading.get_native_id()
    lowest = os.getpriority(os.PRIO_PROCESS, os.getpid()) + 10  # not lower than who started it
    with suppress(PermissionError):  # a sandbox may keep it; then requests wait, and are answered
        os.setpriority(os.PRIO_PROCESS, thread, lowest)
