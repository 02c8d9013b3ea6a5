"""Whoever changes a file that decides something finds its test under the same name."""

import ast
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BRANCHES = (ast.If, ast.IfExp, ast.Match, ast.While, ast.Try, ast.BoolOp)

ELSEWHERE = {
    "event_schemas/generate/*": "what they write is committed, and tests hold it to the contracts",
    "servicekit/*": "buses share tests/test_bus.py; the rest is told by what runs on it",
    "stores/*": "a new room: what moves in brings its tests",
    "local/*": "it starts programs, which the tests of those who use it do",
    "tailrace/*": "commands and scenes, which tests of their outcome play",
    "trainer/*": "adapters share the tests of what they make together",
    "deployer/domain/*": "one decision, which test_decision.py plays through",
    "ingest/*": "bodies are told by the tests of their endpoints",
    "drift_monitor/*": "is rebuilt by an issue of its own",
    "predictor/app.py": "each test of the lab builds it",
    "predictor/adapters/features/feast_*.py": "test_with_real_stores.py reads through them",
    "predictor/adapters/features/redis_features.py": "test_online_parity.py holds it to Feast",
    "predictor/adapters/models/mlflow_artifacts.py": "test_with_real_stores.py downloads with it",
    "predictor/adapters/models/skops_worker.py": "test_skops_model.py starts it",
    "predictor/api/native/contract.py": "test_predict.py sends what it takes and refuses",
    "predictor/api/native/endpoint.py": "test_predict.py sends what it takes and refuses",
    "predictor/api/oip/inference.py": "test_http.py and test_triton_clients.py ask it",
    "predictor/api/oip/rows.py": "test_triton_clients.py sends every datatype in every shape",
    "predictor/batch/*": "test_score.py runs the whole of a job",
    "predictor/serving/*": "the engine is taken apart; what is left is told by its ways in",
}
"""Files without a mirror, and where else they are told."""


def sources() -> Iterator[tuple[str, Path]]:
    """Each file that decides, and where its mirror is to be."""
    for package in (
        sorted(ROOT.glob("libs/*/src/*"))
        + sorted(ROOT.glob("services/*/src/*"))
        + [ROOT / "schemas/src/event_schemas"]
    ):
        for path in sorted(package.rglob("*.py")):
            if path.name not in ("__init__.py", "__main__.py") and decides(path):
                inside = path.relative_to(package)
                mirror = package.parents[1] / "tests" / inside.parent / f"test_{inside.name}"
                yield f"{package.name}/{inside}", mirror


def decides(path: Path) -> bool:
    """Whether a function in the file has a branch."""
    functions = [
        each
        for each in ast.walk(ast.parse(path.read_text()))
        if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    return any(isinstance(each, BRANCHES) for f in functions for each in ast.walk(f))


def excused(name: str) -> bool:
    return any(fnmatch(name, pattern) for pattern in ELSEWHERE)


@pytest.mark.parametrize(
    ("name", "mirror"),
    [(name, mirror) for name, mirror in sources() if not excused(name)],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_a_file_that_decides_has_a_test_of_its_name(name: str, mirror: Path) -> None:
    assert mirror.exists(), f"{name} decides: write {mirror.relative_to(ROOT)}"


def test_an_exception_goes_when_its_file_has_a_mirror() -> None:
    assert [name for name, mirror in sources() if name in ELSEWHERE and mirror.exists()] == []
