"""Reads PromQL: which metrics and labels an expression uses, and what stands for Grafana's."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql_parser
import yaml

ROOT = Path(__file__).parents[2]
RULES = ROOT / "helm" / "tailrace" / "files" / "rules"
DASHBOARDS = ROOT / "helm" / "tailrace" / "files" / "dashboards"
REGISTRY = ROOT / "docs" / "metrics.json"

OF_TARGETS = frozenset({"job", "instance", "part_of"})
"""Labels that Prometheus gives every series of a target."""
OF_PROMETHEUS = {
    "up": OF_TARGETS,
    "ALERTS": OF_TARGETS | {"alertname", "alertstate", "severity", "model", "kind"},
    "process_cpu_seconds_total": OF_TARGETS,
    "process_resident_memory_bytes": OF_TARGETS,
}
"""Series that no service declares."""

_VARIABLES = {
    "$__rate_interval": "1m",
    "$__interval": "1m",
    "$__range": "1h",
    "$model": ".*",
    "$version": ".*",
}


@dataclass(frozen=True)
class Use:
    """A series in an expression, and the labels that the expression expects it to have."""

    series: str
    labels: frozenset[str]


def filled(expression: str) -> str:
    """The expression with values for the variables of the dashboards.

    Raises:
        ValueError: it has a variable that no dashboard declares.
    """
    for name, value in _VARIABLES.items():
        expression = re.sub(re.escape(name) + r"\b", value, expression)
    if "$" in expression:
        raise ValueError(f"an unknown variable in {expression}")
    return expression


def uses(expression: str) -> list[Use]:
    """Each series of an expression, with the labels that are matched, grouped or joined by.

    A label that an aggregation or a join names has to be on every series below it.

    Raises:
        ValueError: it is no PromQL.
    """
    return list(_uses(promql_parser.parse(filled(expression)), frozenset()))


def _uses(node: Any, wanted: frozenset[str]) -> Iterator[Use]:
    match node:
        case promql_parser.AggregateExpr():
            modifier = node.modifier
            # What the aggregation drops cannot be asked for above it.
            inner = frozenset(modifier.labels) if modifier and _keeps(modifier) else wanted
            if modifier is None:
                inner = frozenset()
            yield from _uses(node.expr, inner)
        case promql_parser.BinaryExpr():
            matching = node.modifier and node.modifier.matching
            joined = frozenset(matching.labels) if matching and _joins(matching) else frozenset()
            yield from _uses(node.lhs, wanted | joined)
            yield from _uses(node.rhs, joined)
        case promql_parser.Call():
            for argument in node.args:
                yield from _uses(argument, wanted)
        case promql_parser.MatrixSelector():
            yield from _uses(node.vector_selector, wanted)
        case promql_parser.VectorSelector():
            matched = {matcher.name for matcher in node.matchers.matchers}
            yield Use(node.name, wanted | matched)
        case promql_parser.ParenExpr() | promql_parser.SubqueryExpr() | promql_parser.UnaryExpr():
            yield from _uses(node.expr, wanted)


def _keeps(modifier: Any) -> bool:
    return str(modifier.type).lower().endswith("by")


def _joins(matching: Any) -> bool:
    return str(matching.type).lower().endswith(("on", "include"))


def known() -> dict[str, frozenset[str]]:
    """The labels of every series: declared, recorded by a rule, or Prometheus's own."""
    found = dict(OF_PROMETHEUS)
    for metric in json.loads(REGISTRY.read_text()):
        for series in metric["series"]:
            le = {"le"} if series.endswith("_bucket") else set()
            found[series] = frozenset(metric["labels"]) | le | OF_TARGETS
    for rule in rules():
        if "record" in rule:
            level = rule["record"].split(":")[0]
            found[rule["record"]] = frozenset({level} if level == "group" else ())
    return found


def strangers(expression: str, series: dict[str, frozenset[str]]) -> list[str]:
    """What an expression uses and nobody declares, in sentences."""
    wrong = []
    for use in uses(expression):
        if use.series not in series:
            wrong.append(f"{use.series} is no metric of docs/metrics.md")
        elif missing := use.labels - series[use.series]:
            wrong.append(f"{use.series} has no label {', '.join(sorted(missing))}")
    return wrong


def rules() -> list[dict[str, Any]]:
    """All rules of the chart, recording and alerting."""
    return [
        rule
        for path in sorted(RULES.glob("*.yaml"))
        for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"]
    ]


def targets() -> Iterator[tuple[str, str, str]]:
    """Dashboard, panel and expression of every query of every dashboard."""
    for path in sorted(DASHBOARDS.glob("*.json")):
        dashboard = json.loads(path.read_text())
        for panel in dashboard["panels"]:
            for target in panel.get("targets", ()):
                yield path.stem, panel["title"], target["expr"]
