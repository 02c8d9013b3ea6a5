"""The predictor with one worker and with two, on two cores that they share with the load.

Bare, as in bench-serving, with a model twenty times as large, so that most of the two cores is left
to the predictor. The load still takes its part, so twice as many answers cannot come of it; the
processor time of an answer says what a worker more costs. Writes bench/results/workers.json and the
table in docs/deployment.md.

Run: .venv/bin/python -m bench.serving.workers [--rounds 5] [--seconds 4]
"""

import argparse
import json
import platform
import statistics
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench.page import fill
from bench.serving.load import Sample, as_json, load, write_script
from bench.serving.model import bodies, write_model
from bench.serving.ours import ours
from bench.serving.running import running

RESULT = Path(__file__).parents[1] / "results" / "workers.json"
PAGE = Path(__file__).parents[2] / "docs" / "deployment.md"
BEGIN, END = "<!-- bench.serving.workers -->", "<!-- end of bench.serving.workers -->"
WORKERS = (1, 2)
CONNECTIONS = 64
TREES = 2000
CORES = "0,1"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5, help="of both in turn (5)")
    parser.add_argument("--seconds", type=float, default=4.0, help="of load (4)")
    options = parser.parse_args()
    samples: dict[int, list[Sample]] = {count: [] for count in WORKERS}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-workers-")))
        write_model(folder, TREES)
        (bare,) = (each for each in ours(stack, folder, ("bare",)) if each.key == "bare")
        script = write_script(folder / "bare.lua", bare.path, bodies(bare.bodies))
        for turn in range(options.rounds):
            for count in WORKERS:
                server = replace(bare, env={**bare.env, "WORKERS": str(count)})
                with running(server, folder, CORES) as (url, pid):
                    load(url, script, CONNECTIONS, 2.0, pid, CORES)
                    sample = load(url, script, CONNECTIONS, options.seconds, pid, CORES)
                samples[count].append(sample)
                print(f"round {turn + 1} WORKERS={count} {sample}", flush=True)
    medians = {
        str(count): {
            name: statistics.median(as_json(sample)[name] for sample in found)
            for name in as_json(found[0])
        }
        for count, found in samples.items()
    }
    data = {
        "taken": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "rounds": options.rounds,
        "medians": medians,
    }
    RESULT.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    fill(PAGE, BEGIN, END, _page(data))


def _page(data: dict[str, Any]) -> str:
    lines = [
        "| workers | requests/s | of one | p99 ms | processor time a request, µs | memory, MB |",
        "|---|---|---|---|---|---|",
    ]
    one = data["medians"][str(WORKERS[0])]
    for count, found in data["medians"].items():
        lines.append(
            f"| {count} | {found['rps']:,.0f} | {found['rps'] / one['rps']:.2f}"
            f" | {found['p99_ms']:.1f} | {found['cpu_us']:.0f} | {found['pss_mb']:.0f} |"
        )
    lines += [
        "",
        f"Medians of {data['rounds']} rounds on {data['taken']}, Python {data['python']}, two"
        f" shared cores, {CONNECTIONS} connections. Memory that processes share is counted once.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
