"""`make chaos`: seeded runs on a platform of real processes, a verdict on each, and a table."""

import argparse
import asyncio
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from tests.chaos import report
from tests.chaos.machine import MachineError, machine
from tests.chaos.schedule import Kind, one_by_one
from tests.chaos.strike import Disk, skewed_clock
from tests.chaos.turn import Result, Turn
from tests.chaos.world import World, write_shared

from local.stack.layout import Layout

LAKE_MEGABYTES, SPOOL_MEGABYTES, BROKER_MEGABYTES = 512, 64, 1024
"""Of the small file systems; a broker keeps the topics of all runs."""
BROKER_AWAY_SECONDS = 12.0
"""With --one-by-one: twice as long as the cluster takes to notice that a broker is gone."""


def arguments() -> argparse.Namespace:
    """The options of the command."""
    parser = argparse.ArgumentParser(
        prog="make chaos ARGS=…", description=__doc__, formatter_class=argparse.HelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5, help="how many runs (default: 5)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the first run (default: 1)")
    parser.add_argument("--faults", type=int, default=5, help="faults a run (default: 5)")
    parser.add_argument(
        "--seconds", type=float, default=15.0, help="time over which they strike (default: 15)"
    )
    parser.add_argument(
        "--one-by-one",
        action="store_true",
        help="in place of drawn faults: each broker is killed in turn, and the time is measured"
        " until every partition takes records again",
    )
    parser.add_argument("--broker", choices=("embedded", "apache"), default="apache")
    parser.add_argument("--nodes", type=int, choices=(1, 3), default=3)
    parser.add_argument(
        "--kinds",
        default=",".join(Kind),
        help=f"kinds of faults, of {', '.join(Kind)} (default: all)",
    )
    parser.add_argument(
        "--home",
        type=Path,
        help="folder of the platform; kept (default: a new one, kept when a run is red)",
    )
    parser.add_argument("--json", type=Path, help="file that results are added to")
    parser.add_argument(
        "--resume", action="store_true", help="leave out seeds that --json has of this commit"
    )
    parser.add_argument(
        "--table", type=Path, help="Markdown file whose marked part shows all results of --json"
    )
    return parser.parse_args()


def log(line: str) -> None:
    """A line of progress."""
    print(f"{time.strftime('%H:%M:%S')}  {line}", flush=True)


async def play(options: argparse.Namespace) -> list[Result]:
    """All runs, one after the other; after one that did not come to its end, on a new platform."""
    kinds = frozenset(Kind(name) for name in options.kinds.split(","))
    seeds = list(range(options.seed, options.seed + options.runs))
    if options.resume and options.json:
        played = report.played(options.json)
        seeds = [seed for seed in seeds if seed not in played]
    results: list[Result] = []
    while seeds:
        platform_number = len(results)
        home = options.home / str(platform_number) if options.home else None
        played_here = await _on_one_platform(options, kinds, seeds, home)
        results += played_here
        seeds = seeds[len(played_here) :]
    return results


async def _on_one_platform(
    options: argparse.Namespace, kinds: frozenset[Kind], seeds: Sequence[int], home: Path | None
) -> list[Result]:
    """The runs of these seeds, up to the first that does not come to its end."""
    results: list[Result] = []
    keep = home is not None
    with ExitStack() as stack:
        home = home or Path(tempfile.mkdtemp(prefix="chaos-"))
        models = home / "models"
        write_shared(models)
        for seed in seeds:
            World(seed, 0).write(models)
        clock = skewed_clock(home) if Kind.SKEW in kinds else None
        if Kind.SKEW in kinds and clock is None:
            log("no clock skew: it takes a C compiler, as cc")
            kinds -= {Kind.SKEW}
        disks = _disks(home, options) if Kind.DISK_FULL in kinds else {}
        if all(disk.mount() for disk in disks.values()):
            for disk in disks.values():
                stack.callback(disk.unmount)
        else:
            for disk in disks.values():
                disk.unmount()
            disks = {}
            log("no full disk: a small file system can only be mounted by root")
        platform = stack.enter_context(machine(home, models, options.broker, options.nodes, log))
        for seed in seeds:
            turn = Turn(platform, disks, clock, seed, log, probed=options.one_by_one)
            if options.one_by_one:
                faults = one_by_one(platform.brokers, every=25.0, away=BROKER_AWAY_SECONDS)
            else:
                faults = turn.faults(kinds, options.faults, options.seconds)
            log(f"run {seed}: {len(faults)} faults")
            result = await turn.play(faults)
            results.append(result)
            _tell_of(result, home)
            if options.json:
                report.keep(result, options.json)
            if result.failure:
                break
    if not keep and all(result.green for result in results):
        shutil.rmtree(home, ignore_errors=True)
    return results


def _disks(home: Path, options: argparse.Namespace) -> dict[str, Disk]:
    layout = Layout(home)
    disks = {
        "lake": Disk(layout.lake, LAKE_MEGABYTES),
        "spool": Disk(layout.data / "prediction-spool", SPOOL_MEGABYTES),
    }
    if options.broker == "apache" and options.nodes > 1:
        for number in range(options.nodes):
            name = f"kafka-{number + 1}"
            disks[name] = Disk(layout.data / name, BROKER_MEGABYTES)
    return disks


def _tell_of(result: Result, home: Path) -> None:
    log(report.line(result))
    for violation in result.violations:
        log(f"    {violation}")
    if not result.green:
        for fault in result.faults:
            log(f"    planned: {fault}")
        log(f"    logs: {home / 'logs'}; again: make chaos RUNS=1 SEED={result.seed}")
    if result.failure:
        log(f"    {result.failure}")


def _leave(number: int, _: object) -> None:
    """Go, and take no further signal on the way: it would leave processes behind."""
    for each in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(each, signal.SIG_IGN)
    sys.exit(128 + number)


def main() -> int:
    """Play a run, and log what came of it."""
    options = arguments()
    # Whoever ends it ends what it started: the way out of `play` closes the platform.
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, _leave)
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "REDIS_URL", "MLFLOW_TRACKING_URI"):
        os.environ.pop(name, None)
    try:
        results = asyncio.run(play(options))
    except MachineError as error:
        print(error, file=sys.stderr)
        return 2
    print(report.summary(results))
    if options.table and options.json:
        report.write_table(options.json, options.table, one_by_one=options.one_by_one)
    return 0 if results and all(result.green for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
