"""What is told of runs: a line each, a table, and a file that later runs are added to."""

import json
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.chaos.oracle import Promise
from tests.chaos.turn import Result

BEGIN = "<!-- runs: written by make chaos -->"
END = "<!-- end of runs -->"
CELL = 160
"""Characters of a broken promise in the table."""


def line(result: Result) -> str:
    """A run in a line."""
    verdict = "green" if result.green else "RED"
    return (
        f"run {result.seed}: {verdict} in {result.seconds:.0f} s; {result.predictions} predictions,"
        f" {result.labels} labels, {result.records} records, {result.trainings} versions,"
        f" {result.steps} steps, {result.restarts} restarts, {result.refused} answers 503"
    )


def summary(results: Sequence[Result]) -> str:
    """All runs in a few lines."""
    broken = Counter(str(v.promise) for result in results for v in result.violations)
    kinds = Counter(str(fault.kind) for result in results for fault in result.faults)
    green = sum(result.green for result in results)
    promises = ", ".join(f"{promise} {broken[promise]}" for promise in Promise)
    struck = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))
    return f"{green} of {len(results)} runs green; broken: {promises}\nfaults: {struck}"


def keep(result: Result, file: Path) -> None:
    """Add a run to a file; a run of the same seed is replaced."""
    known = json.loads(file.read_text()) if file.exists() else []
    entry = {
        **asdict(result),
        "faults": [str(fault) for fault in result.faults],
        "kinds": [str(fault.kind) for fault in result.faults],
        "violations": [asdict(v) for v in result.violations],
        "green": result.green,
        "commit": _commit(),
    }
    known = [each for each in known if each["seed"] != result.seed] + [entry]
    file.write_text(json.dumps(sorted(known, key=lambda each: each["seed"]), indent=1) + "\n")


def table(runs: Sequence[dict[str, Any]]) -> str:
    """The runs in Markdown."""
    head = (
        "| seed | faults | predictions | labels | records | versions | steps | restarts | 503"
        " | longest answer, s | run, s | broken promises |"
    )
    rows = [head, "|" + "---|" * 12]
    for run in runs:
        kinds = ", ".join(
            f"{kind} {n}" if n > 1 else kind for kind, n in sorted(Counter(run["kinds"]).items())
        )
        broken = "; ".join(_short(v["text"]) for v in run["violations"])
        broken = broken or run["failure"] or "none"
        cells = (
            *(run["seed"], kinds, run["predictions"], run["labels"]),
            *(run["records"], run["trainings"], run["steps"], run["restarts"], run["refused"]),
            *(f"{run['slowest']:.1f}", f"{run['seconds']:.0f}", broken),
        )
        rows.append("| " + " | ".join(map(str, cells)) + " |")
    green = sum(run["green"] for run in runs)
    sums = {name: sum(run[name] for run in runs) for name in ("predictions", "labels", "records")}
    faults = sum(len(run["faults"]) for run in runs)
    told = (
        f"{green} of {len(runs)} runs kept every promise, under {faults} faults:"
        f" {sums['predictions']:,} predictions, {sums['labels']:,} labels and"
        f" {sums['records']:,} records were acknowledged."
    )
    return f"{told}\n\n" + "\n".join(rows)


def _short(text: str) -> str:
    """What a cell has room for; the file of runs has the rest."""
    return text if len(text) <= CELL else f"{text[:CELL]}…"


def write_table(results: Path, document: Path) -> None:
    """Put the table of all kept runs between the marks of a document."""
    text = document.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    shown = table(json.loads(results.read_text()))
    document.write_text(f"{before}{BEGIN}\n\n{shown}\n\n{END}{after}")


def _commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"
