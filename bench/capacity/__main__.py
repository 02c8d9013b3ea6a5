"""Measures what a prediction, a label and a record cost each part, and writes docs/capacity.md.

A stack of its own on Apache Kafka gets one kind of work at a time. CPU time is that of the parts'
processes, bytes are those of the brokers' segments. Needs Java and Maven.

Run: make bench-capacity [ARGS="--days 7 --dry"]
"""

import argparse
import asyncio
import json
import logging
import os
import platform as machine
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.capacity import report
from bench.capacity.load import Load
from bench.capacity.meter import Meter

from local.stack import lifecycle
from local.stack.layout import Layout
from local.stack.record import Record
from local.stack.settings import StackSettings, stack_settings
from servicekit.kafka import KafkaBus
from tailrace.commands.up import bring_up
from tailrace.drill.isolation import isolated
from tailrace.traffic.platform import Platform

RESULT = Path(__file__).parents[1] / "results" / "capacity.json"
IDLE_SECONDS = 20.0


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench.capacity", description=__doc__)
    parser.add_argument("--days", type=int, default=60, help="days of flights, about 850 each")
    parser.add_argument("--nodes", type=int, choices=(1, 3), default=1, help="nodes of Kafka")
    parser.add_argument(
        "--dry", action="store_true", help="print what was measured, and write no file"
    )
    parser.add_argument("--render", action="store_true", help="write the page of the last result")
    options = parser.parse_args()
    if options.render:
        report.write(json.loads(RESULT.read_text()))
        return
    logging.getLogger("servicekit.kafka").setLevel(logging.ERROR)
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    with tempfile.TemporaryDirectory(prefix="bench-capacity-") as home:
        own = isolated(stack_settings().model_copy(update={"tailrace_home": Path(home)}))
        settings = own.model_copy(update={"broker": "apache", "nodes": options.nodes})
        layout = settings.layout
        try:
            record = bring_up(settings)
            data = asyncio.run(_measure(record, layout, settings, options.days))
        finally:
            with lifecycle.locked(layout):
                lifecycle.take_down(layout)
    if options.dry:
        json.dump(data, sys.stdout, indent=1)
        return
    RESULT.write_text(json.dumps(data, indent=1) + "\n")
    report.write(data)


async def _measure(
    record: Record, layout: Layout, settings: StackSettings, days: int
) -> dict[str, Any]:
    where = record.addresses
    meter = Meter(record, layout)
    brokers = tuple(name for name in where if name.startswith("kafka"))
    platform = Platform(where["predictor"], where["ingest"])
    tell = _teller()
    try:
        load = Load(meter, platform, KafkaBus(settings.bootstrap_servers), days, brokers)
        await load.history()
        tell("two weeks of records")
        training = await load.training()
        tell("a first version")
        await meter.settled("ingest", "trainer", "predictor", "drift-windows", "drift-watch")
        idle, memory = await meter.idle(IDLE_SECONDS), meter.memory()
        tell("nothing")
        predictions = await load.predictions()
        tell(f"{predictions.count:,} predictions")
        waiting = meter.sum_of("drift-windows", "drift_join_waiting")
        after = meter.memory()
        labels = await load.labels()
        tell(f"{labels.count:,} labels")
        records = await load.records()
        tell(f"{records.count:,} records")
        return {
            "taken": datetime.now(UTC).strftime("%Y-%m-%d"),
            "python": machine.python_version(),
            "cores": os.cpu_count(),
            "nodes": settings.nodes,
            "training": training,
            "idle_cores": idle,
            "memory_mb": {
                name: {"begin": memory[name], "predictions": after[name], "end": end}
                for name, end in meter.memory().items()
            },
            "waiting": waiting,
            "phases": {
                "prediction": asdict(predictions),
                "label": asdict(labels),
                "record": asdict(records),
            },
        }
    finally:
        await platform.close()


def _teller() -> Callable[[str], None]:
    last = time.monotonic()

    def tell(what: str) -> None:
        nonlocal last
        print(f"{time.monotonic() - last:6.1f} s  {what}", flush=True)
        last = time.monotonic()

    return tell


if __name__ == "__main__":
    main()
