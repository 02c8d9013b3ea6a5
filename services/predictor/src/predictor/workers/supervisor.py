"""Forks workers, replaces those that die or hang, and ends them all when told to stop.

The supervisor's process imports what the workers need before it forks them, so they share that
memory, and one that takes a dead one's place is there at once. It runs no thread and no event loop.
"""

import gc
import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import wait
from types import FrameType
from typing import Any

from predictor.workers.shared_metrics import forget_process
from predictor.workers.worker import ForkedWorker, Heartbeat, Heartbeats, stop_with_parent
from servicekit.exits import EXIT_FAILED, EXIT_UNUSABLE
from servicekit.listening import reserve
from servicekit.loops.backoff import Backoff
from servicekit.settings import ServiceSettings
from servicekit.telemetry.logs import configure_logging

log = logging.getLogger(__name__)

_WAIT_SECONDS = 0.2
_KILL_SECONDS = 2.0
"""Workers end themselves at the end of their grace; so long after it they are killed."""
_STOP = {signal.SIGTERM, signal.SIGINT}


class _Seat:
    """The place of one worker: the process in it, and when an empty one is filled again."""

    def __init__(self) -> None:
        self.process: Any = None
        self.not_before = 0.0
        self.backoff = Backoff()


class Supervisor:
    """Runs workers until SIGTERM or SIGINT, then lets them drain.

    A second signal cuts the draining short. A worker that ends before any was ever ready ends all,
    as it would end a process alone; later it is replaced. Code 2 of a worker always ends all.

    Args:
        service: Its name in logs.
        settings: Of the service; the port that the workers share is theirs.
        serve: The life of a worker, called in its process.
        workers: How many.
        silence_seconds: After which a worker whose event loop reports nothing is killed.

    Raises:
        SystemExit: With code 2, the port cannot be taken.
    """

    def __init__(
        self,
        service: str,
        settings: ServiceSettings,
        serve: Callable[[ForkedWorker], None],
        *,
        workers: int,
        silence_seconds: float,
    ) -> None:
        configure_logging(service, settings.log_level)
        self._service = service
        self._serve = serve
        self._grace = settings.shutdown_grace_seconds
        self._silence = silence_seconds
        self._port = reserve(settings.http_host, settings.http_port)
        self._heartbeats = Heartbeats(workers)
        self._seats = [_Seat() for _ in range(workers)]
        self._context = multiprocessing.get_context("fork")
        self._lifeline = os.pipe()
        """Whoever reads from it learns when this process has ended."""
        self._signals = 0
        """To stop, so far."""
        self._code: int | None = None
        """Of the exit, when it is not for a signal."""
        self._was_ready = False

    def run(self) -> int:
        """Run, and return the exit code."""
        host, port = self._port.getsockname()[:2]
        log.info(
            "%s starts %d workers on http://%s:%d", self._service, len(self._seats), host, port
        )
        # Collecting garbage writes into every object's page, which would then be shared no more.
        gc.collect()
        gc.freeze()
        with self._stop_signals():
            while not self._signals and self._code is None:
                self._watch()
            code = self._stop()
        log.info("%s stopped with code %d", self._service, code)
        return code

    def _watch(self) -> None:
        """Fill empty seats, wait a moment, and see which workers hang or have ended."""
        now = time.monotonic()
        for number, seat in enumerate(self._seats):
            if seat.process is None and now >= seat.not_before:
                seat.process = self._fork(number)
        self._wait()
        for number, heartbeat in enumerate(self._heartbeats.read()):
            if heartbeat.listening and heartbeat.ready:
                self._was_ready = True
                self._seats[number].backoff.reset()
            if heartbeat.time and time.monotonic() - heartbeat.time > self._silence:
                self._kill_silent(number, heartbeat)
        for number, seat in enumerate(self._seats):
            if seat.process is not None and not seat.process.is_alive():
                self._clear(number, seat)

    def _wait(self) -> None:
        alive = [seat.process.sentinel for seat in self._seats if seat.process is not None]
        if alive:
            wait(alive, _WAIT_SECONDS)
        else:
            time.sleep(_WAIT_SECONDS)

    def _fork(self, number: int) -> Any:
        worker = ForkedWorker(number, self._heartbeats, self._port)
        process = self._context.Process(
            target=self._begin, args=(worker,), name=f"{self._service}-{number}"
        )
        # A signal that came before the child has forgotten our handlers would be lost to it.
        signal.pthread_sigmask(signal.SIG_BLOCK, _STOP)
        try:
            process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP)
        log.info("worker %d is process %d", number, process.pid)
        return process

    def _begin(self, worker: ForkedWorker) -> None:
        """The life of a worker, from the fork on."""
        # A terminal sends SIGINT to all; the supervisor alone decides.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _STOP)
        reads, writes = self._lifeline
        os.close(writes)
        stop_with_parent(reads)
        self._serve(worker)

    def _kill_silent(self, number: int, heartbeat: Heartbeat) -> None:
        log.error(
            "worker %d (process %d) has not been heard of for %.0f s, and is killed",
            number,
            heartbeat.pid,
            time.monotonic() - heartbeat.time,
        )
        self._seats[number].process.kill()
        self._heartbeats.write(number, Heartbeat())

    def _clear(self, number: int, seat: _Seat) -> int:
        process, seat.process = seat.process, None
        process.join()
        code = process.exitcode
        self._heartbeats.write(number, Heartbeat())
        forget_process(process.pid)
        process.close()
        if self._signals or self._code is not None:
            return code
        if code == EXIT_UNUSABLE or not self._was_ready:
            log.error("worker %d ended with code %d, and all end with it", number, code)
            self._code = EXIT_UNUSABLE if code == EXIT_UNUSABLE else EXIT_FAILED
            return code
        pause = seat.backoff.next()
        seat.not_before = time.monotonic() + pause
        log.error("worker %d ended with code %d: another follows in %.1f s", number, code, pause)
        return code

    def _stop(self) -> int:
        """Let the workers drain; kill those that take too long."""
        self._send(signal.SIGTERM)
        forwarded = self._signals
        code = self._code or 0
        until = time.monotonic() + self._grace + _KILL_SECONDS
        while seats := [seat for seat in self._seats if seat.process is not None]:
            self._wait()
            if self._signals > forwarded:
                forwarded = self._signals
                self._send(signal.SIGTERM)
            if time.monotonic() > until:
                log.error("%d workers did not stop in time, and are killed", len(seats))
                self._send(signal.SIGKILL)
            for number, seat in enumerate(self._seats):
                if seat.process is not None and not seat.process.is_alive():
                    ended = self._clear(number, seat)
                    # One that was just being started ends by the signal itself.
                    if ended not in (0, -signal.SIGTERM):
                        code = code or EXIT_FAILED
        return code

    def _send(self, number: signal.Signals) -> None:
        for seat in self._seats:
            if seat.process is not None and seat.process.is_alive():
                os.kill(seat.process.pid, number)

    @contextmanager
    def _stop_signals(self) -> Iterator[None]:
        before = {s: signal.signal(s, self._on_signal) for s in _STOP}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1
