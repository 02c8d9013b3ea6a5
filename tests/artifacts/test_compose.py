"""The compose files, read by Docker Compose itself and by the schema of its specification."""

import re
import subprocess
from collections.abc import Callable
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
LAYERS = ("observability", "airflow", "tls")
SERVICES = {"ingest", "trainer", "deployer", "predictor", "drift-windows", "drift-watch"}
SETS = [layers for n in range(len(LAYERS) + 1) for layers in combinations(LAYERS, n)]

Compose = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def compose(run, tmp_path: Path) -> Compose:
    """`docker compose` with secrets that were made for this test."""
    secrets = tmp_path / "secrets.env"
    made = run("sh", "compose/secrets.sh", secrets)
    assert made.returncode == 0, made.stderr

    def compose(*words: str, files: tuple[str | Path, ...] = ("compose",), secret: bool = True):
        paths = [f if isinstance(f, Path) else ROOT / "compose" / f"{f}.yaml" for f in files]
        return run(
            *("docker-compose", "--env-file", "compose/.env"),
            *(("--env-file", secrets) if secret else ()),
            *(word for path in paths for word in ("-f", path)),
            *words,
        )

    return compose


def config(compose: Compose, *layers: str) -> dict[str, Any]:
    done = compose("config", files=("compose", *layers))
    assert done.returncode == 0, done.stderr
    return yaml.safe_load(done.stdout)


@pytest.mark.parametrize("layers", SETS, ids=lambda layers: "+".join(layers) or "alone")
def test_every_set_of_layers_is_whole(compose: Compose, layers: tuple[str, ...]) -> None:
    services = config(compose, *layers)["services"]
    assert services.keys() >= SERVICES
    for name, service in services.items():
        assert service.get("restart"), f"{name}: who starts it again?"


@pytest.mark.parametrize("file", ["compose", *LAYERS])
def test_a_file_keeps_to_the_specification(run, file: str) -> None:
    done = run(
        *("check-jsonschema", "--builtin-schema", "vendor.compose-spec", f"compose/{file}.yaml")
    )
    assert done.returncode == 0, done.stdout


def test_a_service_may_write_only_where_it_is_told_and_gains_nothing(compose: Compose) -> None:
    for name, service in config(compose)["services"].items():
        if name in SERVICES:
            assert service["read_only"] is True, name
            assert service["cap_drop"] == ["ALL"], name
            assert service["security_opt"] == ["no-new-privileges:true"], name
            assert service["healthcheck"]["test"], name
            assert service["stop_grace_period"] == "25s", name


def test_a_port_is_open_to_this_machine_alone_until_told_otherwise(compose: Compose) -> None:
    for name, service in config(compose, *LAYERS)["services"].items():
        for port in service.get("ports", ()):
            assert port["host_ip"] == "127.0.0.1", name


def test_every_image_has_an_exact_version_and_lies_in_one_place(compose: Compose) -> None:
    for name, service in config(compose, *LAYERS)["services"].items():
        image, _, tag = service["image"].partition(":")
        assert tag, f"{name}: {image} has no version"
        assert tag == "local" or re.search(r"\d+\.\d+|RELEASE\.\d{4}", tag), f"{name}: {tag}"
    for file in ("compose", *LAYERS):
        for line in (ROOT / "compose" / f"{file}.yaml").read_text().splitlines():
            if line.strip().startswith("image:"):
                named = "${" in line or "*" in line
                assert named, f"{file}.yaml: {line.strip()}: name it in compose/.env"


def test_a_file_that_is_committed_holds_no_password() -> None:
    for file in ("compose", *LAYERS):
        text = (ROOT / "compose" / f"{file}.yaml").read_text()
        for line in text.splitlines():
            if match := re.match(r"\s*\w*(PASSWORD|SECRET|SECRET_KEY|FERNET_KEY):\s*(.+)", line):
                assert match[2].startswith("${"), line
        assert not re.search(r"://[^/\s$]*:[^/\s$]+@", text), f"{file}: a password in a URL"
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert "/compose/secrets.env" in ignored


def test_secrets_are_made_once_for_one_user(run, tmp_path: Path) -> None:
    file = tmp_path / "secrets.env"
    assert run("sh", "compose/secrets.sh", file).returncode == 0
    first = file.read_text()
    assert file.stat().st_mode & 0o077 == 0
    assert run("sh", "compose/secrets.sh", file).returncode == 0
    assert file.read_text() == first
    values = re.findall(r"^\w+=(.+)$", first, re.MULTILINE)
    assert len(set(values)) == len(values) >= 7


def test_no_client_of_mlflow_loads_a_pickle(compose: Compose) -> None:
    for name, service in config(compose)["services"].items():
        if "MLFLOW_TRACKING_URI" in service.get("environment", {}):
            value = service["environment"]["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"]
            assert value == "false", name


def test_every_variable_of_a_service_is_one_that_it_reads(compose: Compose) -> None:
    read = "\n".join(
        path.read_text()
        for folder in ("services", "libs")
        for path in (ROOT / folder).glob("*/src/*/*.py")
    ).lower()
    known_elsewhere = re.compile(r"AWS_\w+|OMP_\w+|MLFLOW_\w+")
    for name, service in config(compose, "observability")["services"].items():
        if name in SERVICES:
            for variable in service["environment"]:
                assert known_elsewhere.fullmatch(variable) or f"    {variable.lower()}:" in read, (
                    f"{name}: nothing reads {variable}"
                )


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("services: {x: {image: a, ports: [1]}, y: {image: b, depend_on: [x]}}", "depend_on"),
        ("services: {x: {image: a, depends_on: [nobody]}}", "nobody"),
        ("services: {x: {image: a, volumes: ['lost:/data']}}", "lost"),
    ],
)
def test_a_planted_fault_is_found(compose: Compose, tmp_path: Path, fault: str, said: str) -> None:
    file = tmp_path / "fault.yaml"
    file.write_text(fault)
    done = compose("config", "-q", files=(file,))
    assert done.returncode != 0
    assert said in done.stderr


def test_a_missing_secret_is_named_with_the_remedy(compose: Compose) -> None:
    done = compose("config", "-q", secret=False)
    assert done.returncode != 0
    assert "run compose/secrets.sh" in done.stderr


def test_the_alerts_have_somewhere_to_go(run, tmp_path: Path) -> None:
    file = "compose/observability/alertmanager.yml"
    assert (done := run("amtool", "check-config", file)).returncode == 0, done.stderr
    asked = ("amtool", "config", "routes", "test", f"--config.file={file}")
    assert run(*asked, "severity=critical").stdout.strip() == "page"
    wrong = tmp_path / "wrong.yml"
    wrong.write_text((ROOT / file).read_text().replace("- name: page", "- name: pager"))
    assert run("amtool", "check-config", wrong).returncode != 0


def test_the_collector_hands_on_what_it_takes() -> None:
    told = yaml.safe_load((ROOT / "compose/observability/collector.yaml").read_text())
    for kind in ("receivers", "processors", "exporters"):
        used = {name for line in told["service"]["pipelines"].values() for name in line[kind]}
        assert used == set(told[kind]), kind
