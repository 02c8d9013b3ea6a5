"""The predictor beside MLServer, LitServe, BentoML and `mlflow models serve`, and the floors.

The server has one core, wrk and the stores have the other. All serve the same model and are asked
about the same rows; an answer that is not scikit-learn's keeps a server out. Each is measured in
turn, round after round, and medians are compared. Writes bench/results/serving.json, the table in
docs/performance.md and its plot. Needs wrk; the first run installs the peers under .bench/. Takes
about two minutes a round; what a run that is cut short has measured is kept (go on: --add).
"""

import argparse
import importlib.metadata
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from bench.serving import report
from bench.serving.environment import make_environment
from bench.serving.floors import floors, scores_per_second
from bench.serving.load import CONNECTIONS, LOAD_CORE, load, write_script
from bench.serving.model import bodies, write_model
from bench.serving.ours import ours
from bench.serving.results import Results
from bench.serving.running import StartError, running
from bench.serving.servers import Server, peers, prepare

ALONE = "onnx-alone"
WARM_SECONDS = 2.0


def main() -> None:
    keys = [each.key for each in (*peers(), *peers("onnx"), *floors())]
    keys = ["full", "full-brokers", "full-unlogged", "bare", "bare-logged", *keys, ALONE]
    options = _options(keys)
    if shutil.which("wrk") is None:
        sys.exit("wrk is missing: apt-get install wrk")
    if (os.cpu_count() or 1) < 2:
        sys.exit("this takes two cores: one for the server, one for the load")
    chosen = set(options.only or keys)
    results = Results.read() if options.only or options.add else Results()
    if not options.add:
        results.forget(chosen)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-serving-")))
        write_model(folder)
        os.sched_setaffinity(0, {LOAD_CORE})  # the stores are started there as well
        mine = ours(stack, folder)
        servers = [*mine, *peers(), *peers("onnx"), *floors(mine[0].env)]
        servers = [each for each in servers if each.key in chosen]
        servers = [each for each in servers if _prepared(each, folder, results)]
        for turn in range(options.rounds):
            if ALONE in chosen:
                alone = scores_per_second(folder / "model.onnx", options.seconds / 2)
                results.data["onnx_alone_rps"].append(round(alone))
                results.write(options.seconds)
            for server in list(servers):
                begun = time.monotonic()
                try:
                    _measure(server, folder, options.seconds, results, turn + 1)
                except StartError as error:
                    print(f"{server.name} is not measured: {error}", flush=True)
                    results.fail(server, str(error))
                    servers.remove(server)
                print(f"round {turn + 1}: {server.name} took {time.monotonic() - begun:.0f} s")
                results.write(options.seconds)
    report.write(results.data)
    _tell(results)


def _options(keys: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make bench-serving",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=3, help="of all servers in turn (3)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of load a point (2)")
    parser.add_argument(
        "--only",
        nargs="+",
        choices=keys,
        metavar="NAME",
        help=f"measure these and keep what the file has of the others: {', '.join(keys)}",
    )
    parser.add_argument(
        "--add", action="store_true", help="add rounds to those in the file, instead of a new start"
    )
    return parser.parse_args()


def _prepared(server: Server, folder: Path, results: Results) -> bool:
    if server.requirements is None:
        return True
    trouble = make_environment(server.requirements) or prepare(server, folder)
    if trouble:
        print(f"{server.name} is not measured: {trouble}", flush=True)
        results.fail(server, trouble)
    return not trouble


def _measure(server: Server, folder: Path, seconds: float, results: Results, turn: int) -> None:
    script = write_script(folder / f"{server.key}.lua", server.path, bodies(server.bodies))
    with running(server, folder) as (url, pid):
        load(url, script, 32, WARM_SECONDS, pid)
        for connections in CONNECTIONS:
            sample = load(url, script, connections, seconds, pid)
            results.add(server, _version(server), connections, sample)
            print(
                f"round {turn} {server.name:>34} c={connections:<4} {sample.rps:>9,.0f}/s"
                f"  p50 {sample.p50_ms:.2f}  p99 {sample.p99_ms:.2f} ms"
                + (f"  {sample.errors} errors" if sample.errors else ""),
                flush=True,
            )


def _version(server: Server) -> str:
    if server.requirements is None:
        name = "uvicorn" if server.role == "floor" else "predictor"
        return importlib.metadata.version(name)
    ask = f"import importlib.metadata as m; print(m.version({server.requirements!r}))"
    done = subprocess.run([server.python, "-c", ask], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def _tell(results: Results) -> None:
    print(f"\nbest peer at 32 connections: {results.data['best_peer']}")
    for bar in results.data["bars"]:
        met = {True: "met", False: "NOT met", None: "not measured"}[bar["met"]]
        print(f"{bar['bar']}: {bar['value']} (wanted {bar['wanted']}): {met}")


if __name__ == "__main__":
    main()
