"""The backup of the containers' volumes, with a stand-in for Docker whose volumes are folders."""

import os
import stat
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "compose" / "backup.sh"
DOCKER = r"""#!/bin/sh
# docker, as far as the script uses it: volumes are folders, and a container is its command.
set -eu
echo "$*" >> "$WORLD/asked"
case "$1 $2" in
    "volume ls") ls "$WORLD/volumes" ;;
    "volume create") for last; do :; done; mkdir "$WORLD/volumes/$last"; echo "$last" ;;
    "compose --project-name")
        case $4 in
            ps) cat "$WORLD/running" ;;
            stop) : > "$WORLD/stopped" ;;
            start) rm "$WORLD/stopped" ;;
        esac ;;
    "run --rm")
        [ ! -s "$WORLD/running" ] || [ -e "$WORLD/stopped" ] || { echo "it writes on" >&2; exit 9; }
        while [ "$1" != --volume ]; do shift; done
        volume=${2%%:*}
        shift 3 # and the image
        command=
        for word in "$@"; do
            [ "$word" != /volume ] || word="$WORLD/volumes/$volume"
            command="$command '$word'"
        done
        eval "$command" ;;
    *) echo "not known here: $*" >&2; exit 8 ;;
esac
"""
Files = dict[str, bytes]


class World:
    """A machine with volumes, and perhaps with containers that run."""

    def __init__(self, folder: Path, volumes: dict[str, Files], running: bool) -> None:
        self.folder = folder
        self.secrets = folder / "secrets.env"
        (folder / "volumes").mkdir(parents=True)
        (folder / "bin").mkdir()
        (folder / "running").write_text("abc\n" if running else "")
        docker = folder / "bin" / "docker"
        docker.write_text(DOCKER)
        docker.chmod(0o755)
        for name, files in volumes.items():
            for path, content in files.items():
                file = folder / "volumes" / name / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)

    def run(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "WORLD": str(self.folder),
            "SECRETS": str(self.secrets),
        }
        return subprocess.run(
            [SCRIPT, *words], env=environment, capture_output=True, text=True, timeout=60
        )

    def volumes(self) -> dict[str, Files]:
        found: dict[str, Files] = {}
        for path in sorted((self.folder / "volumes").rglob("*")):
            if path.is_file():
                name, *rest = path.relative_to(self.folder / "volumes").parts
                found.setdefault(name, {})["/".join(rest)] = path.read_bytes()
        return found


HELD = {
    "tailrace_kafka": {"prediction.logged-0/0.log": b"\0\1\2", "meta.properties": b"a=b"},
    "tailrace_postgres": {"PG_VERSION": b"17"},
}


@pytest.fixture
def full(tmp_path: Path) -> World:
    world = World(tmp_path / "full", HELD, running=True)
    world.secrets.write_text("POSTGRES_PASSWORD=x\n")
    return world


def test_what_is_saved_comes_back_on_another_machine(full: World, tmp_path: Path) -> None:
    file = tmp_path / "backup.tar.gz"
    saved = full.run("save", file)
    assert saved.returncode == 0, saved.stderr
    assert stat.S_IMODE(file.stat().st_mode) == 0o600  # passwords are in it
    assert not (full.folder / "stopped").exists(), "it was to be started again"

    empty = World(tmp_path / "empty", {}, running=False)
    restored = empty.run("restore", file)
    assert restored.returncode == 0, restored.stderr
    assert empty.volumes() == HELD
    assert empty.secrets.read_text() == full.secrets.read_text()
    asked = (empty.folder / "asked").read_text()
    assert "--label com.docker.compose.volume=kafka tailrace_kafka" in asked


def test_a_damaged_backup_puts_nothing_back(full: World, tmp_path: Path) -> None:
    file, folder = tmp_path / "backup.tar.gz", tmp_path / "inside"
    assert full.run("save", file).returncode == 0
    folder.mkdir()
    subprocess.run(["tar", "-C", folder, "-xzf", file], check=True)
    with (folder / "tailrace_postgres.tar").open("ab") as archive:
        archive.write(b"!")
    subprocess.run(["tar", "-C", folder, "-czf", file, "."], check=True)
    empty = World(tmp_path / "empty", {}, running=False)
    refused = empty.run("restore", file)
    assert refused.returncode == 1
    assert "is damaged: nothing was put back" in refused.stderr
    assert empty.volumes() == {}


def test_nothing_that_is_there_is_written_over(full: World, tmp_path: Path) -> None:
    file = tmp_path / "backup.tar.gz"
    assert full.run("save", file).returncode == 0
    for words, said in (
        (("save", file), "is there already"),
        (("restore", file), "there are volumes already"),
    ):
        refused = full.run(*words)
        assert refused.returncode == 1
        assert said in refused.stderr
    other = World(tmp_path / "other", {}, running=False)
    other.secrets.write_text("POSTGRES_PASSWORD=y\n")
    assert "other passwords than the backup" in other.run("restore", file).stderr
    assert other.volumes() == {}


def test_nothing_to_save_and_a_wrong_word_are_errors(tmp_path: Path) -> None:
    empty = World(tmp_path / "empty", {}, running=False)
    assert "nothing to save" in empty.run("save", tmp_path / "file").stderr
    assert empty.run("keep", tmp_path / "file").returncode == 2
    assert empty.run("save").returncode == 2
