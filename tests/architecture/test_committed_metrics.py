"""What a transaction handles raises its metrics when it is committed, and not when it is tried."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from types import MappingProxyType

ROOT = Path(__file__).parents[2]
SERVICES = tuple(sorted((ROOT / "services").glob("*/src")))
RAISE = {"inc", "dec", "observe"}
METRIC = re.compile(r"\b[A-Z][A-Z_]{2,}\b")

Sources = MappingProxyType[str, str]
"""Text by name of the module."""


def sources_of(src: Path) -> Sources:
    found = {}
    for path in src.rglob("*.py"):
        parts = path.relative_to(src).with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__")] = path.read_text()
    return MappingProxyType(found)


def reachable(module: str, trees: dict[str, ast.Module]) -> set[str]:
    """The module, and what it imports of its own service."""
    found, waiting = set[str](), [module]
    while waiting:
        name = waiting.pop()
        if name in found or name not in trees:
            continue
        found.add(name)
        for node in ast.walk(trees[name]):
            if isinstance(node, ast.Import):
                waiting += [each.name for each in node.names]
            elif isinstance(node, ast.ImportFrom):
                base = node.module or ""
                waiting += [base, *(f"{base}.{each.name}" for each in node.names)]
    return found


def names_in(node: ast.AST) -> set[str]:
    """Every name and attribute: whatever is called, or handed on to be called."""
    names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
    return names | {n.attr for n in ast.walk(node) if isinstance(n, ast.Attribute)}


def handlers_given(tree: ast.AST) -> set[str]:
    """The names in the mappings of handlers that a file gives to a Processor."""
    found = set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("Processor"):
            given = [*node.args[1:2], *(k.value for k in node.keywords if k.arg == "handlers")]
            found |= {name for each in given for name in names_in(each)}
    return found


def bare(node: ast.AST) -> Iterator[str]:
    """The calls that raise a metric at once."""
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Name) and node.func.id == "when_committed":
            return
        if isinstance(node.func, ast.Attribute):
            raised, metric = node.func.attr, METRIC.search(ast.unparse(node.func.value))
            if raised in RAISE or (raised == "set" and metric):
                yield ast.unparse(node)
    for child in ast.iter_child_nodes(node):
        yield from bare(child)


def bare_in(sources: Sources) -> list[str]:
    """The metrics that the handlers of a service raise at once, however deep.

    A call is followed by its name to every function of that name in what the module of the handlers
    imports: too many may be looked at, and none is missed.
    """
    trees = {name: ast.parse(text) for name, text in sources.items()}
    found = []
    for module in trees:
        functions: dict[str, list[tuple[str, ast.AST]]] = {}
        waiting = sorted(handlers_given(trees[module]))
        for name in reachable(module, trees) if waiting else ():
            for node in ast.walk(trees[name]):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    functions.setdefault(node.name, []).append((name, node))
                elif isinstance(node, ast.ClassDef):
                    constructors = [n for n in node.body if getattr(n, "name", "") == "__init__"]
                    functions.setdefault(node.name, []).extend((name, n) for n in constructors)
        while waiting:
            for where, node in functions.pop(waiting.pop(), ()):
                found += [f"{where}: {call}" for call in bare(node)]
                waiting += names_in(node)
    return found


def test_a_handler_raises_no_metric_before_the_commit() -> None:
    assert [found for src in SERVICES for found in bare_in(sources_of(src))] == []


def test_the_handlers_of_each_transactional_service_are_looked_at() -> None:
    given = {
        src.parent.name: set[str]().union(
            *(handlers_given(ast.parse(text)) for text in sources_of(src).values())
        )
        for src in SERVICES
    }
    assert {name for name, handlers in given.items() if handlers} == {
        "deployer",
        "drift-monitor",
        "trainer",
    }
    assert "on_drift_detected" in given["trainer"]


def test_a_bare_metric_is_found_however_deep() -> None:
    planted = {
        "s.handlers": """
from s import metrics
from s.deeper import Deeper

class Service:
    def processor(self):
        return Processor("s", {Asked: self.on_asked}, [], self.measure)

    def measure(self):
        metrics.WEIGHT.set(1)

    def on_asked(self, event):
        when_committed(metrics.ASKED.labels("a").inc)
        when_committed(lambda: metrics.ASKED.labels("a").inc(2))
        self._stopped.set()
        Deeper().look()
""",
        "s.deeper": """
class Deeper:
    def __init__(self):
        metrics.LOOKS.inc()

    def look(self):
        return list(map(_one, [1]))

def _one(n):
    of_model = metrics.SECONDS.labels("a")
    of_model.observe(n)
    metrics.NEWEST.set(n)
""",
        "s.elsewhere": "def look():\n    metrics.OTHER.inc()\n",
    }
    assert sorted(bare_in(MappingProxyType(planted))) == [
        "s.deeper: metrics.LOOKS.inc()",
        "s.deeper: metrics.NEWEST.set(n)",
        "s.deeper: of_model.observe(n)",
    ]
