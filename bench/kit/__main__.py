"""The kit's loops beside a bare confluent-kafka loop and faust-streaming, in turn, in one run.

Each loop is one process with a core of its own; the broker has the other. The medians of the rounds
are compared, and what a transaction costs is measured by its size.

Run: .venv/bin/python -m bench.kit [--rounds 5] [--broker apache]
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from bench.kit import loops

from local.broker import KINDS
from servicekit.cloudevents import encode
from servicekit.event import Event
from servicekit.kafka import KafkaBus

ROOT = Path(__file__).parents[2]
LOOP_CORE, BROKER_CORE = 0, 1
BATCH = 500
FEW = 400
"""Events of a loop that handles one at a time: a bare transaction takes 50 ms."""
SIZES = (1, 10, 100, 500, 2000)
LIMIT_SECONDS = 240
BARS = {"kit": 0.7, "kit, transactions": 0.4}
"""Least share of the bare loop without transactions."""


def fill(bootstrap: str, events: int) -> tuple[str, int]:
    """A topic with so many events, and the bytes of one."""
    topic = f"asked{uuid4().hex[:8]}"
    body = loops.contract(topic)
    bus = KafkaBus(bootstrap, sender_queue=100_000)
    ready(bus, topic)
    sender, size, futures = bus.sender(), 0, []
    for n in range(events):
        draft = {"entity": f"e{n % 997}", "n": n, "sent": 0.0, "features": loops.features(n)}
        length = len(body(**draft, note="").model_dump_json())
        event = Event(body=body(**draft, note="x" * (500 - length)), source="/b", time=NOW)
        record = encode(event)
        size = len(record.value or b"")
        futures.append(sender.send(record))
        if len(futures) == 20_000:
            for future in futures:
                future.result(60)
            futures = []
    for future in futures:
        future.result(60)
    sender.close(30)
    return topic, size


NOW = datetime.now(UTC)


def ready(bus: KafkaBus, topic: str) -> None:
    """Make a topic."""
    view = bus.view(topic)
    view.poll(0)
    view.close()


def measure(bootstrap: str, name: str, topic: str, events: int, batch: int) -> dict[str, Any]:
    """Run one loop over a topic, in a process of its own."""
    answered = f"answered{uuid4().hex[:8]}"
    ready(KafkaBus(bootstrap), answered)
    words = (name, bootstrap, topic, answered, str(events), str(batch))
    command = ["taskset", "-c", str(LOOP_CORE), sys.executable, "bench/kit/loops.py", *words]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False
    )
    if done.returncode:
        raise SystemExit(f"{name}: {done.stderr[-2000:]}")
    found = json.loads(done.stdout.splitlines()[-1])
    took = sorted(found["took"]) or [0.0]
    return {
        "events_per_second": found["events"] / found["seconds"],
        "events_per_cpu_second": found["events"] / found["cpu"],
        "batch_ms_p50": statistics.median(took) * 1000,
        "batch_ms_p99": took[min(len(took) - 1, int(0.99 * len(took)))] * 1000,
    }


def median(runs: list[dict[str, Any]]) -> dict[str, float]:
    """The median of each figure."""
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--events", type=int, default=60_000, help="of a batched loop")
    parser.add_argument("--broker", choices=KINDS, default="apache")
    parser.add_argument("--result", type=Path, help="writes JSON here, and a plot beside it")
    options = parser.parse_args()
    os.sched_setaffinity(0, {BROKER_CORE})
    with tempfile.TemporaryDirectory() as folder, KINDS[options.broker](Path(folder)) as bootstrap:
        result = run(bootstrap, options.rounds, options.events)
    result["broker"] = options.broker
    result["machine"] = {"python": platform.python_version(), "cores": os.cpu_count()}
    show(result)
    if options.result:
        options.result.write_text(json.dumps(result, indent=1) + "\n")
        plot(result, options.result.with_suffix(".png"))


def run(bootstrap: str, rounds: int, events: int) -> dict[str, Any]:
    topic, size = fill(bootstrap, events)
    few = min(FEW, events)
    runs: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for number in range(rounds):
        # In turn, so that whatever else the machine does hits all alike.
        for name in loops.LOOPS:
            for batch in (1, BATCH):
                # Faust takes one event at a time, and sends and commits behind its back.
                if name == "faust" and batch == 1:
                    continue
                enough = few if batch == 1 else events // 2 if name == "faust" else events
                print(f"round {number + 1}: {name}, batches of {batch}", file=sys.stderr)
                measured = measure(bootstrap, name, topic, enough, batch)
                runs.setdefault((name, batch), []).append(measured)
    sizes = []
    for batch in SIZES:
        enough = min(events, max(FEW, batch * 20))
        print(f"transactions of {batch}", file=sys.stderr)
        measured = [
            measure(bootstrap, "kit, transactions", topic, enough, batch) for _ in range(rounds)
        ]
        sizes.append({"batch": batch, **median(measured)})
    return {
        "taken": NOW.date().isoformat(),
        "bytes": size,
        "rounds": rounds,
        "events": events,
        "loops": [
            {"loop": name, "batch": batch, **median(measured), "runs": measured}
            for (name, batch), measured in runs.items()
        ],
        "transactions": sizes,
    }


def show(result: dict[str, Any]) -> None:
    floors = {row["batch"]: row for row in result["loops"] if row["loop"] == "bare"}
    print(
        f"\n{result['bytes']}-byte events, {result['rounds']} rounds, medians; {result['broker']}"
    )
    print(
        f"{'loop':<20} {'batch':>5} {'events/s':>9} {'of bare':>8} {'per core':>9} {'of bare':>8}"
    )
    for row in result["loops"]:
        floor = floors[row["batch"]]
        rate, core = row["events_per_second"], row["events_per_cpu_second"]
        share = rate / floor["events_per_second"]
        bar = BARS.get(row["loop"]) if row["batch"] == BATCH else None
        verdict = "" if bar is None else f"  bar {bar}: {'met' if share >= bar else 'missed'}"
        print(
            f"{row['loop']:<20} {row['batch']:>5} {rate:>9,.0f} {share:>8.2f} {core:>9,.0f}"
            f" {core / floor['events_per_cpu_second']:>8.2f}{verdict}"
        )
    print(f"\n{'a transaction':>14} {'events/s':>9} {'ms (median)':>12} {'ms (p99)':>9}")
    for row in result["transactions"]:
        print(
            f"{row['batch']:>14} {row['events_per_second']:>9,.0f} {row['batch_ms_p50']:>12.1f}"
            f" {row['batch_ms_p99']:>9.1f}"
        )


def plot(result: dict[str, Any], path: Path) -> None:
    """Rates of the loops, and what a transaction costs by its size."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    rows = [row for row in result["loops"] if row["batch"] == BATCH]
    names = [row["loop"] for row in rows]
    colours = {"bare": "#9aa5b1", "kit": "#1f6feb", "faus": "#d29922"}
    left.barh(
        names,
        [row["events_per_second"] for row in rows],
        color=[colours[name[:4].rstrip(",")] for name in names],
    )
    left.invert_yaxis()
    left.set_xlabel(f"events/s, {result['bytes']} bytes, batches of {BATCH}")
    for index, row in enumerate(rows):
        left.text(row["events_per_second"], index, f" {row['events_per_second']:,.0f}", va="center")
    left.margins(x=0.2)
    costs = result["transactions"]
    for figure_name, style, label in (
        ("events_per_second", "o-", "events/s"),
        ("batch_ms_p50", "s--", "ms, median"),
        ("batch_ms_p99", "^:", "ms, p99"),
    ):
        values = [row[figure_name] for row in costs]
        right.loglog([row["batch"] for row in costs], values, style, label=label)
    right.set_xlabel("events in a transaction")
    right.legend()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
