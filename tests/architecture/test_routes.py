"""What the catalog says of the events is what the services do, and each service is on its own."""

import ast
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

import deployer.app
import drift_monitor.app
import ingest.app
import predictor.app
import trainer.app
from deployer.settings import DeployerSettings
from drift_monitor.settings import WatchSettings, WindowsSettings
from event_schemas import BY_TYPE
from event_schemas.catalog import OUTSIDE, ROUTES, SERVICES
from ingest.settings import IngestSettings
from predictor.settings import PredictorSettings
from servicekit.memory import MemoryBus
from servicekit.settings import ServiceSettings
from trainer.settings import TrainerSettings

ROOT = Path(__file__).parents[2]
SETTINGS: dict[str, tuple[type[ServiceSettings], ...]] = {
    "ingest": (IngestSettings,),
    "trainer": (TrainerSettings,),
    "deployer": (DeployerSettings,),
    "predictor": (PredictorSettings,),
    "drift-monitor": (WindowsSettings, WatchSettings),
}
APPS = {
    "ingest": "ingest.app",
    "trainer": "trainer.app",
    "deployer": "deployer.app",
    "predictor": "predictor.app",
    "drift-monitor windows": "drift_monitor.app",
    "drift-monitor watch": "drift_monitor.watch.app",
}
HEAVY = (
    "evidently",
    "faust",
    "feast",
    "mlflow",
    "onnx",
    "onnxruntime",
    "pandas",
    "river",
    "sklearn",
)
"""What takes a second or more to import, or patches its surroundings."""


class Listening(MemoryBus):
    """Notes the topics that anybody reads."""

    def __init__(self) -> None:
        super().__init__()
        self.read: set[str] = set()

    def transactional(self, *, service: str, topics: Sequence[str], **how: Any) -> Any:
        self.read.update(topics)
        return super().transactional(service=service, topics=topics, **how)

    def group(self, *, group: str, topics: Sequence[str], member: str) -> Any:
        self.read.update(topics)
        return super().group(group=group, topics=topics, member=member)

    def view(self, *topics: str) -> Any:
        self.read.update(topics)
        return super().view(*topics)


def read_by(service: str, folder: Path) -> set[str]:
    """The topics that a service reads, as its `build` wires it."""
    bus, stand_in = Listening(), Mock()
    match service:
        case "ingest":
            ingest.app.build(IngestSettings(models_dir=folder), bus, lake=stand_in_lake())
        case "trainer":
            trainer.app.build(
                TrainerSettings(), bus, catalog=stand_in, training=stand_in, champions=stand_in
            )
        case "deployer":
            deployer.app.build(DeployerSettings(), bus)
        case "predictor":
            settings = PredictorSettings(score_requested=True)
            (follower, _), _ = predictor.app.build(
                settings, bus, artifacts=stand_in, features=stand_in
            )
            follower.step()  # type: ignore[attr-defined]
        case "drift-monitor":
            drift_monitor.app.build(WindowsSettings(), bus, reports=stand_in, references=stand_in)
    return bus.read


def stand_in_lake() -> Any:
    class Lake:
        def quarantine(self, name: str) -> Any:
            return type("Table", (), {"uri": name})

    return Lake()


def source(service: str) -> list[ast.Module]:
    folder = ROOT / "services" / service / "src"
    return [ast.parse(path.read_text(), str(path)) for path in sorted(folder.rglob("*.py"))]


def project(service: str) -> dict[str, Any]:
    return tomllib.loads((ROOT / "services" / service / "pyproject.toml").read_text())["project"]


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_reads_exactly_what_the_catalog_says(service: str, tmp_path: Path) -> None:
    said = {topic for topic, route in ROUTES.items() if service in route.receivers}
    assert read_by(service, tmp_path) == said


def test_the_catalog_knows_every_event_and_only_known_ends() -> None:
    assert ROUTES.keys() == BY_TYPE.keys()
    assert SERVICES.keys() == {path.name for path in (ROOT / "services").iterdir() if path.is_dir()}
    for route in ROUTES.values():
        assert route.senders
        assert {*route.senders, *route.receivers} <= {*SERVICES, OUTSIDE}
        assert OUTSIDE not in route.receivers


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_makes_only_events_that_it_may_send(service: str) -> None:
    names = {body.__name__: topic for topic, body in BY_TYPE.items()}
    made, named = set(), set()
    for node in (node for module in source(service) for node in ast.walk(module)):
        if isinstance(node, ast.Name) and node.id in names:
            named.add(names[node.id])
        if isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Attribute) and called.attr.startswith("model_"):
                called = called.value  # model_validate, model_construct
            if isinstance(called, ast.Name) and called.id in names:
                made.add(names[called.id])
    sends = {topic for topic, route in ROUTES.items() if service in route.senders}
    assert made <= sends
    # Some are made from notes or by a faster codec, but no service sends what it never names.
    assert sends <= named


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_is_a_distribution_with_a_readme_and_a_script_of_its_name(service: str) -> None:
    readme = ROOT / "services" / service / "README.md"
    assert readme.read_text().startswith(f"# {service}\n")
    package = service.replace("-", "_")
    assert project(service)["name"] == service
    assert project(service)["scripts"] == {service: f"{package}.__main__:main"}
    assert (ROOT / "services" / service / "src" / package / "__main__.py").is_file()


@pytest.mark.parametrize("service", SERVICES)
def test_no_service_knows_another(service: str) -> None:
    others = SERVICES.keys() - {service}
    words = [line.replace("[", " ").replace(">", " ") for line in project(service)["dependencies"]]
    assert not others & {line.split()[0] for line in words}
    packages = {other.replace("-", "_") for other in others}
    for node in (node for module in source(service) for node in ast.walk(module)):
        if isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] not in packages, ast.unparse(node)
        if isinstance(node, ast.Import):
            assert not packages & {alias.name.split(".")[0] for alias in node.names}


def test_services_that_run_side_by_side_listen_on_ports_of_their_own() -> None:
    kinds = [kind for kinds in SETTINGS.values() for kind in kinds]
    ports = [kind.model_fields["http_port"].default for kind in kinds]
    assert len(set(ports)) == len(kinds)


def test_every_setting_says_what_it_means() -> None:
    assert SETTINGS.keys() == SERVICES.keys()
    for kind in (kind for kinds in SETTINGS.values() for kind in kinds):
        unsaid = [name for name, field in kind.model_fields.items() if not field.description]
        assert unsaid == [], kind.__name__


IMPORT = """
import importlib, json, sys, threading

opened = []
def hook(event, arguments):
    if event in ("socket.__new__", "socket.connect", "socket.bind", "subprocess.Popen"):
        opened.append(event)
    if event == "open" and isinstance(arguments[1], str) and set("wax+") & set(arguments[1]):
        if not str(arguments[0]).startswith("/dev/") and ".pyc" not in str(arguments[0]):
            opened.append(f"{event} {arguments[0]}")
sys.addaudithook(hook)

seen, found = set(), {}
for name in json.loads(sys.argv[1]):
    importlib.import_module(name)
    tops = {module.partition(".")[0] for module in sys.modules}
    found[name] = {
        "heavy": sorted((tops & set(json.loads(sys.argv[2]))) - seen),
        "threads": [t.name for t in threading.enumerate() if t is not threading.main_thread()],
        "opened": opened[:],
    }
    seen |= tops
    opened.clear()
print(json.dumps(found))
"""


def test_importing_an_app_opens_nothing_and_brings_nothing_heavy() -> None:
    # Feast, once a test has imported it, tells every metric of child processes to be a file.
    environment = {k: v for k, v in os.environ.items() if k != "PROMETHEUS_MULTIPROC_DIR"}
    ran = subprocess.run(
        [sys.executable, "-B", "-c", IMPORT, json.dumps(list(APPS.values())), json.dumps(HEAVY)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    nothing = {"heavy": [], "threads": [], "opened": []}
    assert json.loads(ran.stdout) == dict.fromkeys(APPS.values(), nothing)
