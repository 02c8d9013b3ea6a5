"""The predictor under five times what it can take.

Its capacity is measured first; then clients with a pool of connections send five times as much, on
a schedule that waits for nobody, and half of the capacity afterwards. Once with its settings as
they come, once with refusals that are not paced. Writes bench/results/overload.json, the figures in
docs/performance.md and their plot. The server has one core; clients and stores have the other.
"""

import argparse
import asyncio
import json
import os
import platform
import resource
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvloop
from bench.connection import post
from bench.overload import report
from bench.overload.clients import Clients
from bench.overload.measures import measured, rate
from bench.overload.watching import Look, watch
from bench.serving.load import LOAD_CORE
from bench.serving.model import bodies, write_model
from bench.serving.ours import ours
from bench.serving.running import running
from bench.serving.servers import Server

from local.broker import kind

FILE = Path(__file__).parents[1] / "results" / "overload.json"
BEFORE_SECONDS, AFTER_SECONDS = 2.5, 4.5
"""Short: the server closes what is idle for 5 s, and a pool of a few connections that are left has
none to send on when something takes a moment."""
BUSY = 128
"""Connections that measure the capacity: as many as gave most in bench-serving."""
PROBE = 0.5
"""Share of the capacity that is sent before and afterwards."""


def main() -> None:
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the server is ended then as well
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 65_536)), hard))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-overload-")))
        write_model(folder)
        os.sched_setaffinity(0, {LOAD_CORE})  # the stores are started there as well
        servers = {each.key: each for each in ours(stack, folder)}
        if options.server not in servers:
            sys.exit(f"--server {options.server}: there are {', '.join(servers)}")
        server = servers[options.server]
        runs: dict[str, Any] = {}
        for name, seconds, env in (
            ("as it comes", options.seconds, {}),
            ("refusals not paced", options.unpaced_seconds, {"MAX_REFUSALS_PER_SECOND": "0"}),
        ):
            if seconds:
                run = replace(server, env={**server.env, **env})
                runs[name] = _run(run, folder, seconds, options)
                print(f"{name}: {_short(runs[name])}", flush=True)
    data = _result(runs, server, options)
    for bar in data["bars"]:
        print(f"{'met' if bar['met'] else 'NOT MET':>8}  {bar['bar']}: {bar['value']:.3g}")
    if not options.dry:
        FILE.parent.mkdir(exist_ok=True)
        FILE.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")
        report.write(data)
    sys.exit(0 if all(bar["met"] for bar in data["bars"]) else 1)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make bench-overload",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="of overload (60)")
    parser.add_argument(
        "--unpaced-seconds", type=float, default=15.0, help="of the run to compare with; 0: none"
    )
    parser.add_argument("--times", type=float, default=5.0, help="the capacity is offered (5)")
    parser.add_argument("--connections", type=int, default=3000, help="of the clients (3000)")
    parser.add_argument("--server", default="full", help="one of ours in bench-serving (full)")
    parser.add_argument("--dry", action="store_true", help="write nothing")
    return parser.parse_args()


def _run(
    server: Server, folder: Path, seconds: float, options: argparse.Namespace
) -> dict[str, Any]:
    with running(server, folder) as (url, pid):
        place = urlsplit(url)
        sent = [post(server.path, body) for body in bodies(server.bodies)]
        story = _story(place.hostname or "", place.port or 0, url, pid, sent, seconds, options)
        return uvloop.run(story)


async def _story(
    host: str,
    port: int,
    url: str,
    pid: int,
    sent: list[bytes],
    seconds: float,
    options: argparse.Namespace,
) -> dict[str, Any]:
    clients = Clients(host, port, sent)
    await clients.connect(BUSY)
    await clients.load(None, 2.0)
    begun = clients.now()
    await clients.load(None, 6.0)
    capacity = rate(clients, begun, clients.now(), 200)
    print(f"capacity {capacity:,.0f}/s", flush=True)
    await clients.connect(options.connections - BUSY)
    looks: list[Look] = []
    watching = asyncio.create_task(watch(url, pid, time.perf_counter() - clients.now(), looks))
    await clients.load(capacity * PROBE, 0.5)
    marks = [clients.now()]
    for times, length in (
        (PROBE, BEFORE_SECONDS),
        (options.times, seconds),
        (PROBE, AFTER_SECONDS),
    ):
        await clients.load(capacity * times, length)
        marks.append(clients.now())
    await asyncio.sleep(1.0)
    watching.cancel()
    clients.stopping = True
    return measured(clients, looks, capacity, marks)


def _short(run: dict[str, Any]) -> str:
    return ", ".join(
        f"{name} {run[name]}"
        for name in run
        if name not in ("series", "memory_series", "began", "ended")
    )


def _result(runs: dict[str, Any], server: Server, options: argparse.Namespace) -> dict[str, Any]:
    run = next(iter(runs.values()))
    memory = run["memory_mb"]
    recovery = 1e9 if run["recovery_seconds"] is None else run["recovery_seconds"]
    bars = [
        ("goodput / capacity", run["goodput_ratio"], ">=", 0.8),
        ("memory at its end / after a sixth of it", memory["end"] / memory["early"], "<=", 1.05),
        ("answers that are neither 200, 429 nor 503", run["others"], "<=", 0),
        ("recovery, s", recovery, "<=", 2.0),
        ("pages that did not answer 200", run["pages_failed"], "<=", 0),
    ]
    return {
        "taken": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "broker": kind(),
        "seconds": options.seconds,
        "times": options.times,
        "connections": options.connections,
        "settings": server.settings,
        "bars": [
            {
                "bar": name,
                "value": round(value, 3),
                "wanted": f"{sign} {bar:g}",
                "met": value >= bar if sign == ">=" else value <= bar,
            }
            for name, value, sign, bar in bars
        ],
        "runs": runs,
    }


if __name__ == "__main__":
    main()
