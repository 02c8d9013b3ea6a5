"""Every metric that an alert, a dashboard or a runbook names is raised by code that runs.

An alert on a metric that nobody raises never fires, and nobody notices. What `promtool` and the
checks of dashboards hold is that a metric is declared; here a program has to reach what raises it.
"""

import ast
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.architecture.reachable import Module, Program, Symbol, read_sources, used

ROOT = Path(__file__).parents[2]
RULES = ROOT / "helm" / "tailrace" / "files" / "rules"
DASHBOARDS = ROOT / "helm" / "tailrace" / "files" / "dashboards"
RUNBOOKS = ROOT / "docs" / "runbooks"

OF_OTHERS = {
    "ALERTS": "Prometheus makes it of the rules",
    "up": "Prometheus makes it of each scrape",
    "process_": "prometheus_client makes them of the process",
    "python_": "prometheus_client makes them of the interpreter",
    "kafka_": "brokers tell them themselves, or Strimzi's exporter does",
    "kube_": "kube-state-metrics makes them",
}
"""Beginnings of names that nobody here declares, and where they come from."""

KINDS = frozenset({"Counter", "Enum", "Gauge", "Histogram", "Info", "Summary"})
RAISES = frozenset(
    {"dec", "inc", "info", "observe", "set", "set_function", "state", "time", "track_inprogress"}
)
WORDS_OF_PROMQL = frozenset({"and", "bool", "offset", "on", "or", "unless"})


@dataclass(frozen=True)
class Metric:
    """A metric as a `metrics.py` declares it."""

    name: str
    series: tuple[str, ...]
    variable: Symbol


def metrics_of(sources: Mapping[str, str]) -> list[Metric]:
    """What the modules named `metrics` declare."""
    found = []
    for module, text in sources.items():
        if module.rpartition(".")[2] != "metrics":
            continue
        for statement in ast.parse(text).body:
            match statement:
                case ast.Assign(
                    [ast.Name(variable)],
                    ast.Call(ast.Name(kind), [ast.Constant(str(name)), *_]),
                ) if kind in KINDS:
                    ends = ("_bucket", "_sum", "_count") if kind == "Histogram" else ("",)
                    series = tuple(name + end for end in ends)
                    found.append(Metric(name, series, (module, variable)))
    return found


def raised_by(program: Program, metrics: Iterable[Metric]) -> set[str]:
    """The names of the metrics that reached code raises, or hands to what raises them."""
    by_variable = {metric.variable: metric.name for metric in metrics}
    raised, aliased, raising = set(), set(), set()
    for module, nodes in program.pieces():
        if module.name.rpartition(".")[2] == "metrics":
            continue  # a first value is none that anything has raised
        parents = {
            child: node
            for top in nodes
            for node in used(top)
            for child in ast.iter_child_nodes(node)
        }
        for node in (each for top in nodes for each in used(top)):
            for symbol in program.resolve(module, node) & by_variable.keys():
                match _use(node, parents):
                    case "raised":
                        raised.add(by_variable[symbol])
                    case "aliased":
                        aliased.add((module.name, by_variable[symbol]))
            if _raises_an_alias(node, parents, program, module):
                raising.add(module.name)
    return raised | {name for module, name in aliased if module in raising}


def _use(node: ast.AST, parents: Mapping[ast.AST, ast.AST]) -> str:
    """What code does with a metric: raise it, keep it under another name, or neither."""
    while True:
        parent = parents.get(node)
        match parent:
            case ast.Attribute(attr="labels"):
                node = parents[parent]
            case ast.IfExp():
                node = parent
            case ast.Attribute(attr=attr):
                return "raised" if attr in RAISES else "looked at"
            case ast.Call() | ast.keyword():
                return "raised"
            case None | ast.Expr():
                return "looked at"  # its labels are made, and it stays 0
            case _:
                return "aliased"


def _raises_an_alias(
    node: ast.AST, parents: Mapping[ast.AST, ast.AST], program: Program, module: Module
) -> bool:
    """Whether code raises what it has under a name of its own."""
    match node:
        case ast.Attribute(ast.Name() as owner, attr) if attr in RAISES:
            symbols = program.resolve(module, owner)
            declared = any(name.rpartition(".")[2] == "metrics" for name, _ in symbols)
            return not declared and isinstance(parents.get(node), ast.Call)
    return False


def names_in(expression: str) -> set[str]:
    """The series that a query of PromQL asks for."""
    text = re.sub(r"\"[^\"]*\"|'[^']*'", "", expression)
    text = re.sub(r"\{[^}]*\}|\[[^\]]*\]", " ", text)
    text = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", " ", text)
    text = re.sub(r"\boffset\s+\S+", " ", text)
    words = re.findall(r"(?<![\w.$:])[a-zA-Z_:][\w:]*(?!\w*\s*\()", text)
    return {word for word in words if word not in WORDS_OF_PROMQL}


def names_in_rules(content: Any) -> set[str]:
    """The series that the rules of a file ask for."""
    rules = [rule for group in content["groups"] for rule in group["rules"]]
    return {name for rule in rules for name in names_in(rule["expr"])}


def names_in_dashboard(text: str) -> set[str]:
    """The series that the panels, the annotations and the variables of a dashboard ask for."""
    found = json.loads(text)
    queries = [target["expr"] for p in found["panels"] for target in p.get("targets", ())]
    queries += [each["expr"] for each in found["annotations"]["list"] if "expr" in each]
    for variable in found["templating"]["list"]:
        queries += re.findall(r"^label_values\((.+), *\w+\)$", variable["query"])
    return {name for query in queries for name in names_in(query)}


def names_in_runbook(text: str, series: Iterable[str]) -> set[str]:
    """The series that a page names: known ones, what is like one, and what a `grep` looks for.

    A pattern that finds nothing is a name as it stands.
    """
    known = sorted(series)
    words = set(re.findall(r"\b[a-z][a-z0-9_]*\b", text))
    found = {word for word in words if word in known or word.endswith("_total")}
    for pattern in re.findall(r"/metrics \| grep (?:-E )?\"?([^\"\n]+?)\"?$", text, re.MULTILINE):
        for alternative in re.split(r"\|(?![^(]*\))", pattern):
            matched = {name for name in known if re.search(alternative, name)}
            found |= matched or {alternative.removeprefix("^")}
    return found


def named() -> dict[str, set[str]]:
    """The files that name each series: rules, dashboards and runbooks."""
    rules = [group for path in RULES.glob("*.yaml") for group in _yaml(path)["groups"]]
    recorded = {r["record"] for group in rules for r in group["rules"] if "record" in r}
    every = [name for metric in metrics_of(SOURCES) for name in metric.series]
    found = {path: names_in_rules(_yaml(path)) for path in RULES.glob("*.yaml")}
    found |= {path: names_in_dashboard(path.read_text()) for path in DASHBOARDS.glob("*.json")}
    found |= {path: names_in_runbook(path.read_text(), every) for path in RUNBOOKS.glob("*.md")}
    places: dict[str, set[str]] = {}
    for path, names in sorted(found.items()):
        for name in names - recorded:
            places.setdefault(name, set()).add(path.relative_to(ROOT).as_posix())
    return places


def _yaml(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def entries() -> list[Symbol]:
    """Where the programs begin: console scripts, and what `python -m` runs."""
    projects = [tomllib.loads(path.read_text())["project"] for path in each("pyproject.toml")]
    scripts = [script for p in projects for script in p.get("scripts", {}).values()]
    begun = [(script.partition(":")[0], script.partition(":")[2]) for script in scripts]
    return begun + [(name, "") for name in SOURCES if name.endswith(".__main__")]


def each(name: str) -> list[Path]:
    """What every service and every library has under a name."""
    return sorted([*ROOT.glob(f"services/*/{name}"), *ROOT.glob(f"libs/*/{name}")])


SOURCES = read_sources(each("src"))


@pytest.fixture(scope="module")
def raised() -> set[str]:
    return raised_by(Program(SOURCES, entries()), metrics_of(SOURCES))


def test_the_finder_knows_every_metric_of_the_registry() -> None:
    registry = json.loads((ROOT / "docs" / "metrics.json").read_text())
    assert {m.name: list(m.series) for m in metrics_of(SOURCES)} == {
        entry["name"]: entry["series"] for entry in registry
    }


def test_every_named_metric_is_declared_or_of_others() -> None:
    declared = {name for metric in metrics_of(SOURCES) for name in metric.series}
    strange = {
        name: sorted(places)
        for name, places in named().items()
        if name not in declared and not name.startswith(tuple(OF_OTHERS))
    }
    assert strange == {}


def test_every_named_metric_is_raised_by_code_that_a_program_reaches(raised: set[str]) -> None:
    places = named()
    dead = {
        metric.name: sorted(places[name])
        for metric in metrics_of(SOURCES)
        for name in metric.series
        if name in places and metric.name not in raised
    }
    assert dead == {}


def test_every_declared_metric_is_raised_by_code_that_a_program_reaches(raised: set[str]) -> None:
    assert {metric.name for metric in metrics_of(SOURCES)} - raised == set()


PLANTED = {
    "app.__main__": "from app.work import Work\nif __name__ == '__main__':\n    Work().run()",
    "app.metrics": """
from prometheus_client import Counter, Gauge, Histogram
ROWS = Counter("rows_total", "Rows.", ["table"])
WAITING = Gauge("waiting", "Who waits.")
TOOK = Histogram("took_seconds", "How long.")
""",
}


def planted(work: str, **others: str) -> set[str]:
    """The metrics that a program raises whose `Work` has a method `run`."""
    sources = PLANTED | {"app.work": work} | {f"app.{name}": text for name, text in others.items()}
    return raised_by(Program(sources, [("app.__main__", "")]), metrics_of(sources))


@pytest.mark.parametrize(
    "line",
    [
        "metrics.ROWS.labels('a').inc()",
        "metrics.ROWS.inc(2)",
        "(metrics.ROWS if self else metrics.TOOK).labels('a').inc()",
        "after_commit(metrics.ROWS.labels('a').inc)",
        "watch(metrics.ROWS, lambda: 1)",
        "Breaker(failures=metrics.ROWS)",
        "rows = metrics.ROWS.labels('a'); rows.inc()",
        "for rows in (metrics.ROWS, metrics.TOOK): rows.inc()",
        "from app.metrics import ROWS as R; R.inc()",
        "import app.metrics; app.metrics.ROWS.inc()",
    ],
)
def test_a_metric_is_raised_in_any_way_of_writing_it(line: str) -> None:
    work = f"from app import metrics\nclass Work:\n    def run(self):\n        {line}\n"
    assert "rows_total" in planted(work)


@pytest.mark.parametrize(
    "line",
    [
        "metrics.ROWS.labels('a')",
        "metrics.ROWS.remove('a')",
        "rows = metrics.ROWS",
        "return metrics.ROWS.labels('a')",
        "from app.metrics import ROWS",
    ],
)
def test_a_metric_that_is_only_looked_at_is_not_raised(line: str) -> None:
    work = f"from app import metrics\nclass Work:\n    def run(self):\n        {line}\n"
    assert planted(work) == set()


RAISER = "from app.metrics import ROWS\ndef count():\n    ROWS.inc()\n"


@pytest.mark.parametrize(
    "work",
    [
        "class Work:\n    def run(self): pass",
        "from app import raiser\nclass Work:\n    def run(self): pass",
        "from app.raiser import count\nclass Work:\n    def run(self): pass",
        "from app.raiser import count\nclass Work:\n    def run(self): pass\n"
        "    def never(self): count()",
        "from app.raiser import count\nclass Work:\n    def run(self): pass\n"
        "class Never:\n    def run(self): count()",
    ],
)
def test_code_that_no_program_reaches_raises_nothing(work: str) -> None:
    assert planted(work, raiser=RAISER) == set()
    reached = work.replace(
        "def run(self): pass", "def run(self):\n        import app.raiser as r; r.count()"
    )
    assert planted(reached, raiser=RAISER) == {"rows_total"}


def test_a_first_value_beside_the_declaration_raises_nothing() -> None:
    text = PLANTED["app.metrics"] + "WAITING.set(1)\n"
    assert planted("from app import metrics\nclass Work: pass", metrics=text) == set()


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ('sum by (model) (increase(rows_total{table="up_total"}[5m])) > 0', {"rows_total"}),
        ("rows_total unless rows_total offset 15m > 1e6", {"rows_total"}),
        ("a:b:rate5m / on (x) group_left (y) (c_sum or on () vector(0))", {"a:b:rate5m", "c_sum"}),
        ("histogram_quantile(0.5, sum by (le) (rate(took_bucket[$__range])))", {"took_bucket"}),
        ('max(up{part_of="a"} == bool 0) without (job)', {"up"}),
    ],
)
def test_a_query_is_read_for_the_series_that_it_asks_for(query: str, names: set[str]) -> None:
    assert names_in(query) == names


def test_a_runbook_names_what_it_writes_and_what_it_greps_for() -> None:
    page = """
`rows_total` grows, and so does lost_total, over `max_seconds`.

    curl -s localhost:1/metrics | grep -E "took_seconds_(sum|count)|^wait|gone"
"""
    series = ["rows_total", "took_seconds_sum", "took_seconds_count", "waiting", "other"]
    found = names_in_runbook(page, series)
    assert found == {*series[:-1], "lost_total", "gone"}


def test_a_dashboard_names_what_panels_annotations_and_variables_ask_for() -> None:
    text = json.dumps(
        {
            "panels": [{"type": "row"}, {"targets": [{"expr": "sum(a_total)"}]}],
            "annotations": {"list": [{"expr": "changes(b_total[1m]) > 0"}, {"name": "c"}]},
            "templating": {"list": [{"query": 'label_values(d_total{x=~"$y"}, z)'}]},
        }
    )
    assert names_in_dashboard(text) == {"a_total", "b_total", "d_total"}
