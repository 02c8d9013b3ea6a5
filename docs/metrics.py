"""Writes docs/metrics.md and docs/metrics.json, the registry of every metric, from the code.

python docs/metrics.py            writes both
python docs/metrics.py --check    fails when they are stale or a metric breaks a rule
"""

import argparse
import importlib
import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType

from prometheus_client.metrics import MetricWrapperBase

ROOT = Path(__file__).parents[1]
PAGE, DATA = ROOT / "docs" / "metrics.md", ROOT / "docs" / "metrics.json"

LABELS = {
    "arm": "`champion`, `challenger` or `shadow`",
    "cause": "why a training was asked for",
    "code": "the error code of an answer, as its body has it",
    "component": "a thread of a service, by its name",
    "dataset": "a dataset that has a contract, or `unknown`",
    "decision": "`accepted`, `merged`, `deferred` or `refused`",
    "error": "the class of an exception",
    "feature": "a feature of a model; `score` for its answers",
    "field": "of an event: `reasons`, `profile`",
    "group": "consumer group",
    "instead": "`error`, `default` or `last_known`",
    "kind": "of drift: `data`, `prediction`, `performance`, `broken_feed`; of ingest: `records`,"
    " `labels`",
    "method": "HTTP method",
    "model": "name of a model",
    "outcome": "how it ended",
    "phase": "`canary`, `probation`, `stable` or `paused`",
    "reason": "one word of a fixed set",
    "route": "template of an HTTP route",
    "service": "name of a service",
    "status": "HTTP status",
    "topic": "Kafka topic",
    "type": "type of an event",
    "version": "version of a model",
    "why": "a phrase of a fixed set",
}
"""Every label that a metric may have. What callers make up is no value of any."""

UNITS = {"seconds": "seconds", "bytes": "bytes", "ratio": "ratio"}
"""Base units, by the last word of a name; a counter's `_total` stands behind it."""
_NOT_BASE = re.compile(r"_(ms|millis|milliseconds|micros|minutes|hours|days|kb|mb|percent)(_|$)")
_RESERVED = ("_count", "_sum", "_bucket", "_created", "_info")
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


@dataclass(frozen=True)
class Declared:
    """A metric as the code declares it."""

    name: str
    type: str
    labels: tuple[str, ...]
    unit: str
    meaning: str
    service: str

    @property
    def series(self) -> tuple[str, ...]:
        """The names under which Prometheus stores it."""
        if self.type == "histogram":
            return tuple(f"{self.name}_{part}" for part in ("bucket", "sum", "count"))
        return (self.name,)


def modules() -> Iterator[tuple[str, ModuleType]]:
    """Every module named `metrics` of the kit and of the services, with whose it is."""
    for folder in sorted(ROOT.glob("services/*/src")) + sorted(ROOT.glob("libs/*/src")):
        for path in sorted(folder.rglob("metrics.py")):
            name = ".".join(path.relative_to(folder).with_suffix("").parts)
            owner = folder.parent.name if folder.parents[1].name == "services" else "every service"
            yield owner, importlib.import_module(name)


def declared(owner: str, module: ModuleType) -> list[Declared]:
    """The metrics that a module makes, by name."""
    found = []
    for metric in vars(module).values():
        if not isinstance(metric, MetricWrapperBase):
            continue
        name = metric._name + ("_total" if metric._type == "counter" else "")
        word = metric._name.rsplit("_", 1)[-1]
        found.append(
            Declared(
                name,
                metric._type,
                tuple(metric._labelnames),
                UNITS.get(word, "1"),
                metric._documentation,
                owner,
            )
        )
    return sorted(found, key=lambda each: each.name)


def violations(metrics: Iterable[Declared]) -> list[str]:
    """What breaks the rules of names and labels, in sentences."""
    wrong = []
    for metric in metrics:
        name = metric.name
        if not metric.meaning.endswith("."):
            wrong.append(f"{name}: its help is no sentence: {metric.meaning!r}")
        if not _NAME.fullmatch(name):
            wrong.append(f"{name}: write it in lower case, words joined by single _")
        if _NOT_BASE.search(name):
            wrong.append(f"{name}: use a base unit, e.g. seconds")
        if name.endswith(_RESERVED) or (name.endswith("_total") and metric.type != "counter"):
            wrong.append(f"{name}: a {metric.type} must not end like this")
        wrong += [
            f"{name}: label {label!r} is not declared: add it to LABELS in docs/metrics.py"
            for label in metric.labels
            if label not in LABELS
        ]
    return wrong


def page(metrics: Iterable[Declared]) -> str:
    """The registry for people."""
    lines = [
        "# Metrics",
        "",
        "This page is generated from the code by `make generate` (`python docs/metrics.py`): change"
        " the `metrics.py` of a service, not the page.",
        "",
        "Every process answers `GET /metrics`, in the text format of Prometheus or, when asked, in"
        " OpenMetrics; there the times of requests have the trace behind them as exemplars while"
        " traces are exported. A histogram has the series `_bucket`, `_sum` and `_count`. *Event"
        " time* is the time of the data: in a replay it runs faster than the clock. With `WORKERS`"
        " above 1 whichever is asked answers for all; then there are no exemplars.",
    ]
    services: dict[str, list[Declared]] = {}
    for metric in metrics:
        services.setdefault(metric.service, []).append(metric)
    for service, owned in services.items():
        lines += ["", f"## {service}", "", "| metric | type | labels | unit | meaning |"]
        lines.append("|---|---|---|---|---|")
        for m in owned:
            labels = ", ".join(f"`{label}`" for label in m.labels)
            lines.append(f"| `{m.name}` | {m.type} | {labels} | {m.unit} | {m.meaning} |")
    lines += ["", "## Labels", "", "| label | values |", "|---|---|"]
    used = {label for owned in services.values() for m in owned for label in m.labels}
    lines += [f"| `{label}` | {LABELS[label]} |" for label in sorted(used)]
    return "\n".join(lines) + "\n"


def data(metrics: Iterable[Declared]) -> str:
    """The registry for programs: the labels of each series."""
    entries = [asdict(metric) | {"series": metric.series} for metric in metrics]
    return json.dumps(entries, indent=2, ensure_ascii=False) + "\n"


def registry() -> list[Declared]:
    """All metrics: the kit's, then each service's."""
    found = [metric for owner, module in modules() for metric in declared(owner, module)]
    return sorted(found, key=lambda m: (m.service != "every service", m.service, m.name))


def main(arguments: list[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description="Write the registry of metrics.")
    parser.add_argument("--check", action="store_true", help="only say whether it is current")
    chosen = parser.parse_args(arguments)
    metrics = registry()
    if wrong := violations(metrics):
        print("\n".join(wrong), file=sys.stderr)  # noqa: T201
        return 1
    stale = []
    for path, text in ((PAGE, page(metrics)), (DATA, data(metrics))):
        if not path.exists() or path.read_text() != text:
            stale.append(path.relative_to(ROOT).as_posix())
            if not chosen.check:
                path.write_text(text)
    if chosen.check and stale:
        print(f"{' and '.join(stale)}: stale; run make generate", file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
