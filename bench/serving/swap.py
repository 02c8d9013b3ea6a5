"""A hundred switches of version under steady load: `python -m bench.serving.swap`.

Callers ask at a fixed rate, whether they are answered or not; meanwhile the rollout names a new
version again and again. No request may fail, none may be answered by a version that did not serve
between its sending and its answer (a version is over once the next has answered anybody), and the
p99 of requests that were under way during a switch is held against that of the others. Writes
bench/results/hot_swap.json.
"""

import argparse
import asyncio
import gc
import json
import os
import re
import statistics
import sys
import tempfile
import time
from bisect import bisect_right
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvloop
from bench.connection import Connection, post
from bench.serving.load import LOAD_CORE
from bench.serving.model import bodies, write_model
from bench.serving.ours import MODELS, announce, ours
from bench.serving.running import running

from local.broker import kind
from servicekit.kafka import KafkaBus

FILE = Path(__file__).parents[1] / "results" / "hot_swap.json"
MODEL = "bare-logged"
CONNECTIONS = 32
VERSION = re.compile(rb'"version":"(\d+)"')
TOOK = re.compile(rb'"latency_ms":([\d.]+)')
STEP_TIMEOUT = 60.0
AFTERMATH = 0.02
"""Seconds after the first answer of a new version that still count as its switch: the old one is
freed then."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One request; times are of `time.perf_counter()`."""

    sent: float
    received: float
    status: int
    version: int
    took_ms: float
    """From its arrival to the answer, as the server says; the broker shares the clients' core."""


class Load:
    """Asks at a fixed rate over some connections, whether or not it is answered in time."""

    def __init__(self, port: int, rate: float) -> None:
        self._port = port
        self.every = CONNECTIONS / rate
        """Seconds between two requests of a connection."""
        self._requests = [post("/predict", body) for body in bodies(MODEL)]
        self.answers: list[Answer] = []
        self.newest = 0
        """Highest version that has answered."""
        self.newest_received = 0.0
        """When its first answer came."""
        self.late = 0
        """Requests that were sent later than the rate asks for, as the last was not answered."""
        self.stop = False

    async def run(self) -> None:
        """Ask until stopped, and until all is answered."""
        loop = asyncio.get_running_loop()
        begin = loop.time()
        callers: list[_Caller] = []
        for i in range(CONNECTIONS):
            due = begin + self.every * i / CONNECTIONS
            _, caller = await loop.create_connection(
                lambda i=i, due=due: _Caller(self, i, due), "127.0.0.1", self._port
            )
            callers.append(caller)
        await asyncio.gather(*(caller.done for caller in callers))

    def request(self, number: int) -> bytes:
        """They go round."""
        return self._requests[number % len(self._requests)]


class _Caller(Connection):
    """One of the connections."""

    def __init__(self, load: Load, number: int, due: float) -> None:
        super().__init__()
        self._load = load
        self._number = number
        self._due = due
        self._loop = asyncio.get_running_loop()
        self._sent = 0.0
        self.done: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._next()

    def _next(self) -> None:
        wait = self._due - self._loop.time()
        if wait > 0:
            self._loop.call_later(wait, self._send)
            return
        self._load.late += wait < -self._load.every
        self._send()

    def _send(self) -> None:
        if self._load.stop:
            self.transport.close()
            return
        self._due += self._load.every
        self._number += 1
        self._sent = time.perf_counter()
        self.transport.write(self._load.request(self._number))

    def answered(self, status: int, answer: bytes) -> None:
        version, took = VERSION.search(answer), TOOK.search(answer)
        self._tell(
            status, int(version[1]) if version else -1, float(took[1]) if took else float("nan")
        )
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._load.stop:  # a request that has no answer
            self._tell(0, -1, float("nan"))
        self.done.set_result(None)

    def _tell(self, status: int, version: int, took: float) -> None:
        now = time.perf_counter()
        self._load.answers.append(Answer(self._sent, now, status, version, took))
        if version > self._load.newest:
            self._load.newest, self._load.newest_received = version, now


async def measure(
    port: int, bootstrap: str, file: Path, switches: int, rate: float
) -> dict[str, Any]:
    """Load and switch; returns what came of it."""
    # Made beforehand: on the event loop of the clients, it would delay their answers.
    steps = [
        announce(MODEL, MODELS[MODEL], file, version=number, sequence=number)
        for number in range(1, switches + 1)
    ]
    load = Load(port, rate)
    task = asyncio.create_task(load.run())
    sender = KafkaBus(bootstrap).sender()
    published, certain = [0.0], [0.0]
    await asyncio.sleep(1.0)
    for number, step in enumerate(steps, 1):
        published.append(time.perf_counter())
        sender.send(step)
        until = time.monotonic() + STEP_TIMEOUT
        while load.newest < number:
            if time.monotonic() > until:
                sys.exit(f"step {number} does not serve after {STEP_TIMEOUT:g} s")
            await asyncio.sleep(0.005)
        certain.append(load.newest_received)
        if number % 10 == 0:
            print(f"{number} switches, {len(load.answers)} answers", flush=True)
        await asyncio.sleep(0.2)
    load.stop = True
    await task
    sender.close(5)
    return verdict(load, published, certain)


def verdict(load: Load, published: list[float], certain: list[float]) -> dict[str, Any]:
    """What the answers say."""
    failed = wrong = 0
    during: list[Answer] = []
    besides: list[Answer] = []
    for answer in load.answers:
        if answer.status != 200:
            failed += 1
            continue
        # The first version is 0 until step 1, and 1 from then on.
        step = 0 if answer.version == 0 else answer.version
        over = certain[step + 1] if step + 1 < len(certain) else float("inf")
        wrong += not (published[step] <= answer.received and answer.sent <= over)
        last = bisect_right(published, answer.received) - 1
        switching = last > 0 and answer.sent <= certain[last] + AFTERMATH
        (during if switching else besides).append(answer)

    def at_the_clients(of: list[Answer]) -> float:
        return p99([(each.received - each.sent) * 1000 for each in of])

    def in_the_server(of: list[Answer]) -> float:
        return p99([each.took_ms for each in of])

    def p99(of: list[float]) -> float:
        return round(statistics.quantiles(of, n=100)[98], 3) if len(of) > 1 else float("nan")

    seconds = load.answers[-1].received - load.answers[0].sent
    return {
        "taken": datetime.now(UTC).date().isoformat(),
        "switches": len(published) - 1,
        "requests": len(load.answers),
        "requests_per_second": round(len(load.answers) / seconds),
        "late": load.late,
        "failed": failed,
        "not_in_force": wrong,
        "requests_during_switches": len(during),
        "broker": kind(),
        "p99_ms_during": at_the_clients(during),
        "p99_ms_besides": at_the_clients(besides),
        "p99_ratio": round(at_the_clients(during) / at_the_clients(besides), 2),
        "p99_ms_during_in_the_server": in_the_server(during),
        "p99_ms_besides_in_the_server": in_the_server(besides),
        "p99_ratio_in_the_server": round(in_the_server(during) / in_the_server(besides), 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--switches", type=int, default=100, help="of version (100)")
    parser.add_argument("--rate", type=float, default=3000.0, help="requests a second (3000)")
    options = parser.parse_args()
    gc.disable()  # a collection over all the answers stops the clients for a tenth of a second
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-swap-")))
        write_model(folder)
        os.sched_setaffinity(0, {LOAD_CORE})  # the stores are started there as well
        server = next(each for each in ours(stack, folder) if each.key == MODEL)
        with running(server, folder) as (url, _):
            port = int(url.rsplit(":", 1)[1])
            bootstrap = server.env["KAFKA_BOOTSTRAP_SERVERS"]
            found = uvloop.run(
                measure(port, bootstrap, folder / "model.onnx", options.switches, options.rate)
            )
    FILE.write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
