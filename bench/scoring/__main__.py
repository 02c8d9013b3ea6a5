"""`tailrace score` over a table, and over one of four times as many rows.

Gradient boosting of 100 trees over twelve numbers: all of them columns of the table, or six of them
looked up in the lake as they were known at the row's time. Beside it stand a floor (ten thousand
rows at a time through ONNX Runtime) and what one writes by hand (the whole table in pandas, through
scikit-learn). Each run is a process of its own; scores are held against the floor's. Writes
bench/results/batch_scoring.json and the table in docs/batch-scoring.md.
"""

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
from bench.page import fill
from bench.scoring.lake import make_lake, table
from deltalake import DeltaTable

RESULT = Path(__file__).parents[1] / "results" / "batch_scoring.json"
PAGE = Path(__file__).parents[2] / "docs" / "batch-scoring.md"
BEGIN, END = "<!-- make bench-scoring -->", "<!-- end of make bench-scoring -->"
TIMES = 4
"""Rows of the larger table by those of the smaller one."""
MOST_GROWTH = 1.1
"""Of memory, from the smaller table to the larger one: beyond it, it goes with the rows."""
_SCORE = ("-m", "predictor.batch", "--input", "{input}", "--output", "{output}", "--model")
_BY_HAND = (str(Path(__file__).with_name("by_hand.py")),)
WAYS = {
    "table": ("`tailrace score`, all features in the table", (*_SCORE, "bare")),
    "lake": ("`tailrace score`, six of twelve from the lake", (*_SCORE, "full")),
    "floor": ("ONNX Runtime alone", (*_BY_HAND, "floor", "{folder}", "{input}", "{output}")),
    "pandas": ("pandas, scikit-learn", (*_BY_HAND, "pandas", "{folder}", "{input}", "{output}")),
}
"""Name, and words of the command."""

Sample = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="make bench-scoring",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=2, help="of all in turn (2)")
    parser.add_argument(
        "--rows", type=int, default=1_000_000, help="of the smaller table (1000000)"
    )
    options = parser.parse_args()
    sizes = (options.rows, options.rows * TIMES)
    samples: dict[tuple[str, int], list[Sample]] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-scoring-")))
        environment = os.environ | make_lake(stack, folder, sizes)
        for turn in range(options.rounds):
            for rows in sizes:
                for key, (name, words) in WAYS.items():
                    output = folder / "lake" / f"{key}_{rows}_{turn}"
                    places = {"folder": folder, "input": table(folder, rows), "output": output}
                    sample = _run([word.format(**places) for word in words], folder, environment)
                    samples.setdefault((key, rows), []).append(sample)
                    print(
                        f"round {turn + 1} {name:>46} {rows:>10,} rows {sample['seconds']:6.1f} s"
                        f" {sample['peak_mb']:6.0f} MB",
                        flush=True,
                    )
                _compare(folder, f"{rows}_{turn}")
    data = _result(samples, sizes, options.rounds)
    RESULT.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    fill(PAGE, BEGIN, END, _page(data))
    for bar in data["bars"]:
        print(f"{'met' if bar['met'] else 'NOT MET':>8}  {bar['bar']}: {bar['value']}")
    sys.exit(0 if all(bar["met"] for bar in data["bars"]) else 1)


def _run(words: list[str], folder: Path, environment: dict[str, str]) -> Sample:
    """How long a command took, its processor time, and the most memory it ever had."""
    with (folder / "log").open("w+b") as log:
        begun = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, *words], env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        peak = 0
        while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            status = Path(f"/proc/{process.pid}/status").read_text()
            if found := re.search(r"VmHWM:\s+(\d+)", status):
                peak = int(found[1])
            time.sleep(0.02)
        seconds = time.monotonic() - begun
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            log.seek(0)
            sys.exit(f"{' '.join(words)}: {log.read().decode()[-2000:]}")
    return {
        "seconds": round(seconds, 2),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_mb": round(peak / 1024, 1),
    }


def _compare(folder: Path, run: str) -> None:
    """All have to say the same of each row."""
    columns = ["row_id", "probability"]
    floor, *others = (
        DeltaTable(str(folder / "lake" / f"{key}_{run}"))
        .to_pyarrow_table(columns=columns)
        .sort_by("row_id")
        for key in ("floor", "table", "lake", "pandas")
    )
    for found in others:
        apart = pc.max(pc.abs(pc.subtract(found["probability"], floor["probability"]))).as_py()
        if found["row_id"] != floor["row_id"] or apart > 1e-5:
            sys.exit(f"the scores of {run} differ by {apart}")


def _result(
    samples: dict[tuple[str, int], list[Sample]], sizes: tuple[int, int], rounds: int
) -> dict[str, Any]:
    medians = {
        key: {
            str(rows): {
                name: statistics.median(sample[name] for sample in samples[key, rows])
                for name in samples[key, rows][0]
            }
            for rows in sizes
        }
        for key in WAYS
    }
    small, large = (str(rows) for rows in sizes)
    bars = []
    for key in ("table", "lake"):
        grown = medians[key][large]["peak_mb"] / medians[key][small]["peak_mb"]
        bars.append(
            {
                "bar": f"{WAYS[key][0]}: memory for {TIMES} times the rows",
                "wanted": f"<= {MOST_GROWTH}",
                "value": round(grown, 2),
                "met": grown <= MOST_GROWTH,
            }
        )
    return {
        "taken": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "rounds": rounds,
        "rows": list(sizes),
        "medians": medians,
        "bars": bars,
    }


def _page(data: dict[str, Any]) -> str:
    small, large = (str(rows) for rows in data["rows"])
    # What a start costs is not what a row costs.
    more = data["rows"][1] - data["rows"][0]
    each = {
        key: (found[large]["cpu_seconds"] - found[small]["cpu_seconds"]) / more * 1e6
        for key, found in data["medians"].items()
    }
    lines = [
        f"| {data['rows'][1]:,} rows | s | rows/s | processor time a row, µs | of the floor |"
        f" memory, MB | of that for {data['rows'][0]:,} |",
        "|---|---|---|---|---|---|---|",
    ]
    for key, found in data["medians"].items():
        most, less = found[large], found[small]
        lines.append(
            f"| {WAYS[key][0]} | {most['seconds']:.1f} | {int(large) / most['seconds']:,.0f}"
            f" | {each[key]:.1f} | {each[key] / each['floor']:.1f}"
            f" | {most['peak_mb']:.0f} | {most['peak_mb'] / less['peak_mb']:.2f} |"
        )
    lines += [
        "",
        f"{f'Medians of {n} rounds' if (n := data['rounds']) > 1 else 'One round'} on"
        f" {data['taken']}, Python {data['python']}, two"
        " shared cores. Memory is the most that was resident at any moment; processor time a row"
        " leaves out what a start takes.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
