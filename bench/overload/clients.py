"""Clients that send by a schedule, whether or not they are answered.

A pool of connections, one request at a time on each, as clients of HTTP/1.1 have it: that which was
idle for the shortest time is taken, and those that the server closed as idle are let go. A request
that is due while every connection waits for an answer is never sent, and counted.
"""

import asyncio
import time
from collections import Counter, deque
from dataclasses import dataclass, field

from bench.connection import Connection

BUCKET_SECONDS = 0.25
TICK_SECONDS = 0.001


@dataclass
class Bucket:
    """What was sent in a quarter of a second, and what became of it."""

    sent: int = 0
    unsent: int = 0
    """Due, and all connections waited."""
    statuses: Counter[int] = field(default_factory=Counter)
    """Answers, by the bucket of their request; 0 for a connection that ended."""
    answered: Counter[int] = field(default_factory=Counter)
    """Answers, by the bucket in which they came."""
    latencies: list[float] = field(default_factory=list)
    """Of the answers 200, in milliseconds."""
    last: float = 0.0
    """When the last answer to a request of this bucket came, on the clock of the clients."""


class _Client(Connection):
    """A connection of the pool."""

    def __init__(self, clients: "Clients") -> None:
        super().__init__()
        self._clients = clients
        self._sent: float | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._clients.idle.append(self)

    def send(self, request: bytes, now: float) -> None:
        self._sent = now
        self.transport.write(request)

    def answered(self, status: int, answer: bytes) -> None:
        self._ended(status)
        self._clients.idle.append(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self in self._clients.idle:
            self._clients.idle.remove(self)
            return
        self._ended(0)
        self._clients.lost()

    def _ended(self, status: int) -> None:
        if self._sent is not None:
            sent, self._sent = self._sent, None
            self._clients.ended(sent, status)


class Clients:
    """The pool and its schedule; runs on one event loop."""

    def __init__(self, host: str, port: int, requests: list[bytes]) -> None:
        """Has no connection yet.

        Args:
            host: of the predictor.
            port: of the predictor.
            requests: go round.
        """
        self._host = host
        self._port = port
        self._requests = requests
        self._next = 0
        self.idle: deque[_Client] = deque()
        """Those that wait for a request; the last has waited for the shortest time."""
        self.buckets: dict[int, Bucket] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.stopping = False
        self._begun = time.perf_counter()

    def now(self) -> float:
        """Seconds since the clients began."""
        return time.perf_counter() - self._begun

    def bucket(self, at: float) -> Bucket:
        """The bucket of a time."""
        return self.buckets.setdefault(int(at / BUCKET_SECONDS), Bucket())

    async def connect(self, count: int) -> None:
        """Open so many connections more."""
        loop = asyncio.get_running_loop()
        for start in range(0, count, 100):
            await asyncio.gather(
                *(
                    loop.create_connection(lambda: _Client(self), self._host, self._port)
                    for _ in range(min(100, count - start))
                )
            )

    async def load(self, rate: float | None, seconds: float) -> None:
        """Send so many requests a second for a while; None: as many as are answered."""
        until = time.perf_counter() + seconds
        last, due = time.perf_counter(), 0.0
        while (now := time.perf_counter()) < until:
            due = float(len(self.idle)) if rate is None else due + (now - last) * rate
            last = now
            bucket = self.bucket(now - self._begun)
            idle = self.idle
            while due >= 1.0 and idle:
                due -= 1.0
                bucket.sent += 1
                self._next = (self._next + 1) % len(self._requests)
                idle.pop().send(self._requests[self._next], now - self._begun)
            if due >= 1.0:
                bucket.unsent += int(due)
                due %= 1.0
            await asyncio.sleep(TICK_SECONDS)

    def ended(self, sent: float, status: int) -> None:
        """A request has its answer, or will have none."""
        now = self.now()
        bucket = self.bucket(sent)
        bucket.statuses[status] += 1
        bucket.last = now
        came = self.bucket(now)
        came.answered[status] += 1
        if status == 200:
            came.latencies.append((now - sent) * 1000)

    def lost(self) -> None:
        """A connection has ended in mid-request; another takes its place."""
        if not self.stopping:
            task = asyncio.get_running_loop().create_task(self._again())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _again(self) -> None:
        try:
            await self.connect(1)
        except OSError:
            await asyncio.sleep(0.1)
            self.lost()
