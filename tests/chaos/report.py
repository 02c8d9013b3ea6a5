"""The report of runs: a line each, a table, and a file that later runs are added to."""

import fcntl
import json
import subprocess
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench import page
from tests.chaos.oracle import Promise
from tests.chaos.turn import Result

BEGIN = "<!-- runs: written by make chaos -->"
END = "<!-- end of runs -->"
BROKERS_BEGIN = "<!-- brokers: written by make chaos ARGS=--one-by-one -->"
BROKERS_END = "<!-- end of brokers -->"
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
    entry = {
        **asdict(result),
        "faults": [str(fault) for fault in result.faults],
        "kinds": [str(fault.kind) for fault in result.faults],
        "violations": [asdict(v) for v in result.violations],
        "green": result.green,
        "commit": _commit(),
    }
    with file.open("a+") as shared:
        # Two commands may play different seeds at a time.
        fcntl.flock(shared, fcntl.LOCK_EX)
        shared.seek(0)
        known = json.loads(shared.read() or "[]")
        known = [each for each in known if each["seed"] != result.seed] + [entry]
        shared.truncate(0)
        shared.write(json.dumps(sorted(known, key=lambda each: each["seed"]), indent=1) + "\n")


def played(file: Path) -> set[int]:
    """Seeds of which a file has a run of this commit."""
    known = json.loads(file.read_text()) if file.exists() else []
    return {each["seed"] for each in known if each["commit"] == _commit()}


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
        cells = (
            *(run["seed"], kinds, run["predictions"], run["labels"]),
            *(run["records"], run["trainings"], run["steps"], run["restarts"], run["refused"]),
            *(f"{run['slowest']:.1f}", f"{run['seconds']:.0f}", _broken(run)),
        )
        rows.append("| " + " | ".join(map(str, cells)) + " |")
    green = sum(run["green"] for run in runs)
    sums = {name: sum(run[name] for run in runs) for name in ("predictions", "labels", "records")}
    faults = sum(len(run["faults"]) for run in runs)
    note = (
        f"{green} of {len(runs)} runs kept every promise, under {faults} faults:"
        f" {sums['predictions']:,} predictions, {sums['labels']:,} labels and"
        f" {sums['records']:,} records were acknowledged."
    )
    commits = Counter(run["commit"] for run in runs)
    if len(commits) == 1:
        note += f" All of them on commit `{next(iter(commits))}`."
    else:
        each = (f"{count} on `{commit}`" for commit, count in commits.most_common())
        note += f" They were played on different commits: {', '.join(each)}."
    kinds = Counter(kind for run in runs for kind in run["kinds"])
    struck = ", ".join(f"{kind} {count}" for kind, count in sorted(kinds.items()))
    return f"{note}\n\nFaults: {struck}.\n\n" + "\n".join(rows)


def brokers_table(runs: Sequence[dict[str, Any]]) -> str:
    """What each kill of one broker did, in Markdown."""
    rows = [
        "| seed | killed | longest a partition took no record, s | predictions | labels | records"
        " | 503 of predict | 503 of ingest | longest answer, s | broken promises | commit |",
        "|" + "---|" * 11,
    ]
    for run in runs:
        shared = (
            *(run["predictions"], run["labels"], run["records"]),
            *(run["refused_by"].get("predict", 0), run["refused_by"].get("ingest", 0)),
            *(f"{run['slowest']:.1f}", _broken(run), f"`{run['commit']}`"),
        )
        names = ", ".join(name for name, _ in run["recoveries"])
        times = ", ".join(f"{seconds:.1f}" for _, seconds in run["recoveries"])
        rows.append("| " + " | ".join(map(str, (run["seed"], names, times, *shared))) + " |")
    return "\n".join(rows)


def _broken(run: dict[str, Any]) -> str:
    broken = "; ".join(_short(v["text"]) for v in run["violations"])
    return broken or run["failure"] or "none"


def _short(text: str) -> str:
    """What a cell has room for; the file of runs has the rest."""
    return text if len(text) <= CELL else f"{text[:CELL]}…"


def write_table(results: Path, document: Path, *, one_by_one: bool = False) -> None:
    """Put the table of all kept runs between the marks of a document.

    Args:
        results: The file of runs.
        document: The Markdown.
        one_by_one: Whether the runs are those in which each broker was killed in turn, which have
            a table of their own.
    """
    begin, end = (BROKERS_BEGIN, BROKERS_END) if one_by_one else (BEGIN, END)
    runs = json.loads(results.read_text())
    shown = brokers_table(runs) if one_by_one else table(runs)
    page.fill(document, begin, end, f"\n{shown}\n")


def _commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"
