"""`make chaos`: seeded runs on a platform of real processes, a verdict on each, and a table."""

import argparse
import asyncio
import os
import shutil
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from tests.chaos import report
from tests.chaos.machine import MachineError, machine
from tests.chaos.schedule import Kind
from tests.chaos.strike import Disk, faketime
from tests.chaos.turn import Result, Turn
from tests.chaos.world import World, write_shared

LAKE_MEGABYTES = 256


def arguments() -> argparse.Namespace:
    """What the command was told."""
    parser = argparse.ArgumentParser(
        prog="make chaos ARGS=…", description=__doc__, formatter_class=argparse.HelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5, help="how many runs (default: 5)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the first run (default: 1)")
    parser.add_argument("--faults", type=int, default=6, help="faults a run (default: 6)")
    parser.add_argument(
        "--seconds", type=float, default=20.0, help="time over which they strike (default: 20)"
    )
    parser.add_argument("--broker", choices=("embedded", "apache"), default="apache")
    parser.add_argument("--nodes", type=int, choices=(1, 3), default=3)
    parser.add_argument(
        "--kinds",
        default=",".join(kind for kind in Kind if kind is not Kind.SKEW),
        help=f"kinds of faults, of {', '.join(Kind)} (default: all but skew, see the docs)",
    )
    parser.add_argument(
        "--home",
        type=Path,
        help="folder of the platform; kept (default: a new one, kept when a run is red)",
    )
    parser.add_argument("--json", type=Path, help="file that results are added to")
    parser.add_argument(
        "--table", type=Path, help="Markdown file whose marked part shows all results of --json"
    )
    return parser.parse_args()


def tell(line: str) -> None:
    """A line of progress."""
    print(f"{time.strftime('%H:%M:%S')}  {line}", flush=True)


async def play(options: argparse.Namespace) -> list[Result]:
    """All runs, one after the other."""
    kinds = frozenset(Kind(name) for name in options.kinds.split(","))
    if Kind.SKEW in kinds and faketime() is None:
        tell("no clock skew: libfaketime is not installed (Debian: apt-get install libfaketime)")
        kinds -= {Kind.SKEW}
    seeds = range(options.seed, options.seed + options.runs)
    results: list[Result] = []
    with ExitStack() as stack:
        home = options.home or Path(tempfile.mkdtemp(prefix="chaos-"))
        models = home / "models"
        write_shared(models)
        for seed in seeds:
            World(seed, 0).write(models)
        lake = Disk(home / "lake", LAKE_MEGABYTES)
        disks = {"lake": lake} if Kind.DISK_FULL in kinds and lake.mount() else {}
        if disks:
            stack.callback(lake.unmount)
        elif Kind.DISK_FULL in kinds:
            tell("no full disk: a small file system can only be mounted by root")
        platform = stack.enter_context(machine(home, models, options.broker, options.nodes, tell))
        for seed in seeds:
            turn = Turn(platform, disks, seed, tell)
            faults = turn.faults(kinds, options.faults, options.seconds)
            tell(f"run {seed}: {len(faults)} faults")
            result = await turn.play(faults)
            results.append(result)
            tell(report.line(result))
            for violation in result.violations:
                tell(f"    {violation}")
            if not result.green:
                for fault in faults:
                    tell(f"    planned: {fault}")
                tell(f"    logs: {home / 'logs'}; again: make chaos RUNS=1 SEED={seed}")
            if options.json:
                report.keep(result, options.json)
            if result.failure:
                tell(f"    {result.failure}")
                break
    if not options.home and results and all(result.green for result in results):
        shutil.rmtree(home, ignore_errors=True)
    return results


def main() -> int:
    """Play, and tell."""
    options = arguments()
    # Whoever ends it ends what it started: the way out of `play` closes the platform.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    for name in ("KAFKA_BOOTSTRAP_SERVERS", "REDIS_URL", "MLFLOW_TRACKING_URI"):
        os.environ.pop(name, None)
    try:
        results = asyncio.run(play(options))
    except MachineError as error:
        print(error, file=sys.stderr)
        return 2
    print(report.summary(results))
    if options.table and options.json:
        report.write_table(options.json, options.table)
    return 0 if results and all(result.green for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
