"""Runs a service: its HTTP server on the main thread, each component on a thread of its own."""

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from types import FrameType

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from servicekit.component import Component
from servicekit.connections import BoundedProtocol, Limits, bounded
from servicekit.exits import EXIT_FAILED, EXIT_UNUSABLE
from servicekit.http import add_ops_routes
from servicekit.listening import listen
from servicekit.settings import ServiceSettings
from servicekit.telemetry.logs import configure_logging
from servicekit.telemetry.tracing import configure_tracing, flush_tracing
from servicekit.worker import Worker

__all__ = ["EXIT_FAILED", "EXIT_UNUSABLE", "Component", "run"]

log = logging.getLogger(__name__)

COLLECT_AFTER = 50_000
"""New objects after which the garbage collector looks for cycles. A batch of events makes thousands
of objects and no cycle; with Python's 700 it would look some times in every batch."""

HEARTBEAT_SECONDS = 0.2
"""Between two heartbeats of a worker."""


def run(
    service: str,
    settings: ServiceSettings,
    components: Sequence[Component],
    api: FastAPI | None = None,
    *,
    before: Callable[[FastAPI], ASGIApp] = lambda api: api,
    protocol: type[BoundedProtocol] = BoundedProtocol,
    worker: Worker | None = None,
) -> None:
    """Serve until SIGTERM or SIGINT, then drain.

    `api` (default: an empty one) gets /livez, /readyz and /metrics. Components start with the
    server, after the api's own start-up, and all stop at the same time, after the last HTTP
    request was answered. All this has `shutdown_grace_seconds`; a second signal cuts it short.

    Args:
        service: its name in logs and traces.
        settings: of this process.
        components: each runs on a thread of its own.
        api: the HTTP side.
        before: wraps the finished api: what it returns sees each request before any middleware,
            which is for a route whose requests must cost nothing but themselves.
        protocol: of one connection.
        worker: what this process is among those that share its port; None: it is alone.

    Raises:
        SystemExit: with code 1 when a component failed or did not stop in time, with code 2 when
            the port cannot be taken.
    """
    gc.set_threshold(COLLECT_AFTER, *gc.get_threshold()[1:])
    configure_logging(service, settings.log_level)
    logging.getLogger("uvicorn").setLevel(max(logging.WARNING, logging.root.level))
    configure_tracing(service, settings.otel_exporter_otlp_endpoint, settings.trace_request_ratio)
    listener = worker.listener() if worker else listen(settings.http_host, settings.http_port)
    api = api or FastAPI(title=service, openapi_url=None)
    code = _Process(service, settings, components, api, before, protocol, worker).serve(listener)
    flush_tracing(timeout=2.0)
    if code:
        sys.exit(code)


def _limits(settings: ServiceSettings) -> Limits:
    return Limits(
        settings.max_connections,
        settings.max_header_bytes,
        settings.max_bodies_bytes,
        settings.request_read_seconds,
    )


class _Process:
    """The life of one process, from the first request to the last thread."""

    def __init__(
        self,
        service: str,
        settings: ServiceSettings,
        components: Sequence[Component],
        api: FastAPI,
        before: Callable[[FastAPI], ASGIApp],
        protocol: type[BoundedProtocol],
        worker: Worker | None,
    ) -> None:
        self._service = service
        self._worker = worker
        self._heartbeat: asyncio.Task[None] | None = None
        self._components = components
        self._grace = settings.shutdown_grace_seconds
        self._stopping = threading.Event()
        """No new work from outside: the process is not ready any more."""
        self._stop = threading.Event()
        """The components are to end."""
        self._deadline: float | None = None
        self._failed = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(c,), name=c.name, daemon=True)
            for c in components
        ]
        add_ops_routes(api, components, self._stopping, worker)
        self._server = _Server(
            uvicorn.Config(
                before(api),
                loop="uvloop" if sys.platform != "win32" else "asyncio",
                http=bounded(_limits(settings), protocol),
                log_config=None,
                access_log=False,
                server_header=False,
                # Nothing asks for the caller's address, and looking for it costs every request.
                proxy_headers=False,
                # The rest is for the components, which stop only when HTTP is done.
                timeout_graceful_shutdown=max(1, int(self._grace * 2 / 3)),
            ),
            before_startup=None if worker is None else partial(self._start_beside, worker),
            on_started=self._start if worker is None else partial(self._report, worker),
        )

    def serve(self, listener: socket.socket) -> int:
        """Serve on a bound socket until a signal to stop; return the exit code."""
        host, port = listener.getsockname()[:2]
        log.info("%s starts on http://%s:%d", self._service, host, port)
        with self._signals():
            try:
                self._server.run(sockets=[listener])
            except SystemExit:
                log.error("%s did not start: the api's own start-up failed", self._service)
                self._failed.set()
            self._begin_to_stop()
            self._stop.set()
            stuck = self._join()
        code = EXIT_FAILED if self._failed.is_set() or stuck else 0
        log.info("%s stopped with code %d", self._service, code)
        if stuck:
            log.error("killed while they ran: %s; their work comes again", ", ".join(stuck))
            # Their threads may hold locks that the interpreter's end would wait for.
            flush_tracing(timeout=1.0)
            logging.shutdown()
            os._exit(code)
        return code

    async def _start_beside(self, worker: Worker) -> None:
        """Begin to work, and let the others take the connections until this worker is ready."""
        self._start()
        self._heartbeat = asyncio.get_running_loop().create_task(self._report_often(worker))
        # What it waits for are threads and other processes, which set no event of this loop.
        while (  # noqa: ASYNC110
            not self._ready and worker.others_answer and not self._server.should_exit
        ):
            await asyncio.sleep(HEARTBEAT_SECONDS / 2)

    async def _report_often(self, worker: Worker) -> None:
        while True:
            self._report(worker)
            await asyncio.sleep(HEARTBEAT_SECONDS)

    def _report(self, worker: Worker) -> None:
        stopping = self._stopping.is_set()
        worker.report(
            listening=self._server.started and not stopping, ready=self._ready and not stopping
        )

    @property
    def _ready(self) -> bool:
        return all(component.ready for component in self._components)

    def _start(self) -> None:
        for thread in self._threads:
            thread.start()
        threading.Thread(target=self._freeze_memory, name="freeze-memory", daemon=True).start()

    def _freeze_memory(self) -> None:
        """Once all is ready, exempt what start-up made from garbage collection.

        Libraries such as Feast leave a million objects; every full collection would walk them.
        """
        while not self._ready:
            if self._stop.wait(0.2):
                return
        gc.collect()
        gc.freeze()

    def _run(self, component: Component) -> None:
        try:
            component.run(self._stop)
            if not self._stop.is_set():
                raise RuntimeError(f"{component.name} ended without being told to")
        except BaseException:
            log.exception("%s failed, and the process ends with it", component.name)
            self._failed.set()
            self._begin_to_stop()

    def _begin_to_stop(self) -> None:
        if not self._stopping.is_set():
            self._deadline = time.monotonic() + self._grace
            self._stopping.set()
            self._server.should_exit = True

    def _join(self) -> list[str]:
        """Wait for the components; return the names of those that still run."""
        for thread in self._threads:
            while thread.is_alive() and time.monotonic() < (self._deadline or 0):
                thread.join(0.05)
        return [thread.name for thread in self._threads if thread.is_alive()]

    @contextmanager
    def _signals(self) -> Iterator[None]:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        # A terminal sends SIGINT to every worker; their supervisor alone decides what to do.
        stop = (signal.SIGTERM,) if self._worker else (signal.SIGTERM, signal.SIGINT)
        before = {s: signal.signal(s, self._on_signal) for s in stop}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._stopping.is_set():
            self._server.force_exit = True
            self._deadline = time.monotonic()
        self._begin_to_stop()


class _Server(uvicorn.Server):
    """Uvicorn's server, which leaves signals to us and says when it starts and has started."""

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        before_startup: Callable[[], Awaitable[None]] | None,
        on_started: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._before_startup = before_startup
        self._on_started = on_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if self._before_startup is not None:
            await self._before_startup()
            if self.should_exit:  # It was to stop before it took a connection.
                return
        await super().startup(sockets)
        self._on_started()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        yield
