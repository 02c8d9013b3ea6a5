"""One registry of metrics: names and labels are declared, written down, and made nowhere else."""

import ast
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest
from prometheus_client import CollectorRegistry

ROOT = Path(__file__).parents[2]
KINDS = {"Counter", "Enum", "Gauge", "Histogram", "Info", "Summary"}


def load(path: Path, name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def docs() -> ModuleType:
    return load(ROOT / "docs" / "metrics.py", "docs_metrics")


def made_in(text: str) -> list[str]:
    """The calls that make a metric, whatever name prometheus_client goes by."""
    tree = ast.parse(text)
    names, modules = set(), set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("prometheus_client"):
            names |= {each.asname or each.name for each in node.names if each.name in KINDS}
            modules |= {each.asname or each.name for each in node.names if each.name == "metrics"}
        if isinstance(node, ast.Import):
            modules |= {
                (each.asname or each.name).split(".")[0]
                for each in node.names
                if each.name.startswith("prometheus_client")
            }
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called = node.func
        if isinstance(called, ast.Name) and called.id in names:
            found.append(ast.unparse(node))
        if isinstance(called, ast.Attribute) and called.attr in KINDS:
            root = called.value
            while isinstance(root, ast.Attribute):
                root = root.value
            if isinstance(root, ast.Name) and root.id in modules:
                found.append(ast.unparse(node))
    return found


def test_the_registry_in_the_docs_is_current(docs: ModuleType) -> None:
    assert docs.main(["--check"]) == 0


def test_every_name_and_label_keeps_the_rules(docs: ModuleType) -> None:
    assert docs.violations(docs.registry()) == []


def test_no_metric_has_two_owners(docs: ModuleType) -> None:
    names = [metric.name for metric in docs.registry()]
    assert len(names) == len(set(names))


def test_every_declared_label_is_used(docs: ModuleType) -> None:
    used = {label for metric in docs.registry() for label in metric.labels}
    assert used == set(docs.LABELS)


def test_names_that_dashboards_of_others_use_stay(docs: ModuleType) -> None:
    labels = {metric.name: set(metric.labels) for metric in docs.registry()}
    assert {"model", "version"} <= labels["predictions_total"]
    for name in (
        "prediction_latency_seconds",
        "prediction_errors_total",
        "model_confidence",
        "cache_hits_total",
        "drift_score",
    ):
        assert "model" in labels[name]


def test_metrics_are_made_only_in_modules_of_that_name() -> None:
    strays = {
        path.relative_to(ROOT).as_posix(): made
        for folder in ("services", "libs", "schemas")
        for path in (ROOT / folder).glob("**/src/**/*.py")
        if path.name != "metrics.py" and (made := made_in(path.read_text()))
    }
    assert strays == {}


@pytest.mark.parametrize(
    "text",
    [
        "from prometheus_client import Counter\nC = Counter('a_total', 'A.')",
        "from prometheus_client import Counter as Count\nC = Count('a_total', 'A.')",
        "import prometheus_client as p\nC = p.Gauge('a', 'A.')",
        "import prometheus_client.metrics\nC = prometheus_client.metrics.Gauge('a', 'A.')",
        "from prometheus_client import metrics\nC = metrics.Histogram('a', 'A.')",
    ],
)
def test_a_metric_made_elsewhere_is_found(text: str) -> None:
    assert len(made_in(text)) == 1


def test_a_counter_of_another_library_is_no_metric() -> None:
    assert made_in("from collections import Counter\nC = Counter('abc')") == []


@pytest.mark.parametrize(
    ("metric", "complaint"),
    [
        ("Counter('lost_total', 'Lost.', ['customer'], **here)", "label 'customer'"),
        ("Gauge('delay_ms', 'Delay.', **here)", "base unit"),
        ("Gauge('lost_total', 'Lost.', **here)", "must not end like this"),
        ("Gauge('rows_count', 'Rows.', **here)", "must not end like this"),
        ("Gauge('rowsWaiting', 'Rows.', **here)", "lower case"),
        ("Gauge('rows', '', **here)", "no sentence"),
    ],
)
def test_a_metric_that_breaks_a_rule_is_refused(
    metric: str, complaint: str, docs: ModuleType, tmp_path: Path
) -> None:
    wrong = docs.violations(docs.declared("planted", planted(tmp_path, metric)))
    assert len(wrong) == 1
    assert complaint in wrong[0]


@pytest.mark.parametrize(
    "metric",
    ["Counter('lost_total', 'Lost.', **here)", "Gauge('lost', 'Lost.', ['model'], **here)"],
)
def test_a_metric_or_label_that_is_not_written_down_fails_the_check(
    metric: str,
    docs: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    modules = [*docs.modules(), ("planted", planted(tmp_path, metric))]
    monkeypatch.setattr(docs, "modules", lambda: modules)
    assert docs.main(["--check"]) == 1
    assert "docs/metrics.json: stale; run make generate" in capsys.readouterr().err
    assert "lost" not in {entry["name"] for entry in json.loads(docs.DATA.read_text())}


def planted(folder: Path, metric: str) -> ModuleType:
    """A module with one metric, which no scrape will find."""
    path = folder / "metrics.py"
    path.write_text(f"from prometheus_client import Counter, Gauge\nMETRIC = {metric}\n")
    spec = importlib.util.spec_from_file_location("planted_metrics", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    vars(module)["here"] = {"registry": CollectorRegistry()}
    spec.loader.exec_module(module)
    return module
