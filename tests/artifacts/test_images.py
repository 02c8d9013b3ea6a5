"""The images, made without Docker: the very steps of the Dockerfile, in an empty folder."""

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BASE_MB = 130
"""python:3.11-slim-bookworm unpacked."""
COMMANDS = {
    "ingest": [],
    "trainer": [],
    "deployer": [],
    "predictor": [],
    "drift-monitor": ["windows"],
    "tailrace": ["retrain"],
    "mlflow": ["server"],
}
LIMIT_MB = {
    "ingest": 1000,
    "trainer": 1500,
    "deployer": 250,
    "predictor": 1300,
    "drift-monitor": 1200,
    "tailrace": 250,
    "mlflow": 1200,
}
"""What an image may take, so that a dependency that creeps in is noticed."""
MODULES = ("ingest", "trainer", "deployer", "predictor", "drift_monitor", "tailrace")
FOREIGN = {
    "ingest": ("mlflow", "sklearn", "faust", "evidently", "onnxruntime"),
    "trainer": ("faust", "evidently", "river"),
    "deployer": ("feast", "mlflow", "sklearn", "faust", "evidently", "pandas", "numpy", "boto3"),
    "predictor": ("faust", "evidently", "river"),
    "drift-monitor": ("feast", "deltalake", "onnxruntime"),
    "tailrace": ("feast", "mlflow", "sklearn", "faust", "pandas", "circus"),
    "mlflow": ("feast", "faust", "evidently"),
}
"""Packages of other services, which an image has no business to hold."""
EMPTY = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "DO_NOT_TRACK": "true"}


def ask(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command],
        env=EMPTY,
        cwd="/",
        capture_output=True,
        text=True,
        timeout=120,
    )


def foreign(python: Path, image: str) -> list[str]:
    """What can be imported there and belongs to another service."""
    asked = [*FOREIGN[image], *(m for m in MODULES if m != image.replace("-", "_"))]
    told = ask(
        *(python, "-c"),
        f"import importlib.util as u; print(*[m for m in {asked!r} if u.find_spec(m)])",
    )
    assert told.returncode == 0, told.stderr
    return told.stdout.split()


@pytest.mark.parametrize("image", COMMANDS)
def test_an_image_holds_its_service_and_nothing_of_another(
    image: str, run, tmp_path: Path, record_property
) -> None:
    venv = tmp_path / "venv"
    made = run(ROOT / "compose/image/build.sh", image, venv)
    assert made.returncode == 0, made.stderr

    helped = ask(venv / "bin" / image, *COMMANDS[image], "--help")
    assert helped.returncode == 0, helped.stderr
    assert "usage:" in helped.stdout.lower()

    assert foreign(venv / "bin/python", image) == []

    for path in venv.rglob("*.py"):
        if path.stat().st_mode & 0o004 == 0:
            pytest.fail(f"{path} cannot be read by the user of the image")
    size = sum(p.stat().st_size for p in venv.rglob("*") if p.is_file() and not p.is_symlink())
    total = BASE_MB + size // 1_000_000
    record_property("megabytes", total)
    assert total <= LIMIT_MB[image], f"{image} takes {total} MB: what has come in?"


def test_a_library_of_another_service_is_found() -> None:
    # The environment for development holds all of them.
    found = foreign(ROOT / ".venv/bin/python", "deployer")
    assert {"mlflow", "pandas", "trainer", "tailrace"} <= set(found)


def test_an_image_loads_no_pickle() -> None:
    text = (ROOT / "services/Dockerfile").read_text()
    assert "MLFLOW_ALLOW_PICKLE_DESERIALIZATION=false" in text[text.rindex("\nFROM ") :]


def test_an_unknown_service_is_refused_with_what_there_is(run, tmp_path: Path) -> None:
    done = run(ROOT / "compose/image/build.sh", "oracle", tmp_path / "venv")
    assert done.returncode == 2
    assert "there is no locks/oracle.txt: choose one of" in done.stderr


@pytest.mark.parametrize("file", ["services/Dockerfile", "compose/airflow/Dockerfile"])
def test_a_dockerfile_is_well_made(run, file: str) -> None:
    done = run("hadolint", file)
    assert done.returncode == 0, done.stdout


def test_a_planted_fault_in_a_dockerfile_is_found(run, tmp_path: Path) -> None:
    fault = tmp_path / "Dockerfile"
    fault.write_text("FROM python:latest\nRUN sudo pip install x\n")
    done = run("hadolint", fault)
    assert done.returncode != 0
    assert "DL3007" in done.stdout


def test_an_image_runs_as_a_numbered_user_and_says_whether_it_lives() -> None:
    text = (ROOT / "services/Dockerfile").read_text()
    last = text[text.rindex("\nFROM ") :]
    assert "\nUSER 10001:10001\n" in last
    assert "\nHEALTHCHECK " in last
    assert '\nENTRYPOINT ["/opt/venv/bin/start"]' in last


def test_what_a_dockerfile_copies_reaches_it() -> None:
    allowed = {
        line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line[0] == "!"
    }
    script = (ROOT / "compose/image/build.sh").read_text()
    for folder in ("schemas", "libs", "services", "locks"):
        assert folder in allowed
        assert folder in script
    assert "compose/image" in allowed


def test_scripts_hold_no_trap(run) -> None:
    scripts = [
        "compose/image/build.sh",
        "compose/secrets.sh",
        "compose/backup.sh",
        "compose/prometheus/fetch.sh",
        ".ci/run",
    ]
    done = run("shellcheck", *scripts)
    assert done.returncode == 0, done.stdout
