"""`tailrace backup` and `tailrace restore`, as a user types them, without a stack."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from local.stack import leftovers, lifecycle
from local.stack.layout import Layout
from local.stack.settings import StackSettings
from tailrace.cli import app
from tailrace.commands import up


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in StackSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    home = tmp_path / "home"
    monkeypatch.setenv("TAILRACE_HOME", str(home))
    monkeypatch.setenv("COLUMNS", "200")
    # It looks at every process of the machine, which takes a while.
    monkeypatch.setattr(leftovers, "find", lambda _: [])
    return home


@pytest.fixture
def file(tmp_path: Path, home: Path) -> Path:
    (home / "lake").mkdir(parents=True)
    (home / "lake" / "a").write_text("rows")
    return tmp_path / "b.tar.gz"


class Up:
    """A stack that says it is up, and takes note of what is done to it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.done: list[object] = []
        parts = (SimpleNamespace(name="kafka"), SimpleNamespace(name="ingest"))
        monkeypatch.setattr(lifecycle, "running", lambda _: SimpleNamespace(parts=parts))
        monkeypatch.setattr(lifecycle, "take_down", lambda _: self.done.append("down"))
        monkeypatch.setattr(up, "bring_up", lambda _, names: self.done.append(names))


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Up:
    return Up(monkeypatch)


def run(*words: str | Path) -> tuple[int, str]:
    done = CliRunner().invoke(app, [str(word) for word in words])
    return done.exit_code, done.output


def wipe(home: Path) -> None:
    lifecycle.wipe(Layout(home))


def test_a_backup_brings_back_what_a_wipe_removed(home: Path, file: Path) -> None:
    code, said = run("backup", file)
    assert code == 0, said
    assert "1 files, 0.0 MiB, are in" in said
    wipe(home)
    assert not home.exists()
    code, said = run("restore", file)
    assert code == 0, said
    assert "Start it with tailrace up." in said
    assert (home / "lake" / "a").read_text() == "rows"


def test_an_archive_is_replaced_only_when_asked_to(file: Path) -> None:
    file.write_text("the only backup there is")
    code, said = run("backup", file)
    assert (code, "--force" in said) == (1, True)
    assert file.read_text() == "the only backup there is"
    assert run("backup", file, "--force")[0] == 0
    assert file.stat().st_size > 100


def test_a_place_that_a_wipe_removes_is_refused(home: Path, file: Path) -> None:
    code, said = run("backup", home / "lake" / "b.tar.gz")
    assert (code, "removes it" in said) == (1, True)
    assert run("backup", home / "b.tar.gz")[0] == 0


def test_where_there_is_nothing_the_reason_is_reported(home: Path, tmp_path: Path) -> None:
    code, said = run("backup", tmp_path / "b.tar.gz")
    assert (code, "nothing to back up" in said) == (1, True)
    assert not home.exists()
    code, said = run("restore", tmp_path / "b.tar.gz")
    assert (code, "there is no file" in said) == (1, True)
    assert not home.exists()


def test_a_stack_that_is_up_is_refused_with_the_remedy(file: Path, stack: Up) -> None:
    code, said = run("backup", file)
    assert (code, "tailrace down first, or give --stop" in said) == (1, True)
    assert not file.exists()
    file.write_text("x")
    code, said = run("restore", file)
    assert (code, "the stack is up" in said) == (1, True)
    assert stack.done == []


def test_processes_without_a_supervisor_count_as_up(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftovers, "find", lambda _: ["a process"])
    assert "tailrace down first" in run("backup", file)[1]


def test_with_stop_the_same_parts_come_back(file: Path, stack: Up) -> None:
    code, said = run("backup", file, "--stop")
    assert code == 0, said
    assert file.exists()
    assert stack.done == ["down", ("kafka", "ingest")]


def test_with_stop_the_stack_comes_back_though_the_backup_failed(
    home: Path, file: Path, stack: Up
) -> None:
    (home / "lake" / "link").symlink_to("a")
    code, said = run("backup", file, "--stop")
    assert (code, "is a link" in said) == (1, True)
    assert stack.done == ["down", ("kafka", "ingest")]


def test_the_stack_comes_back_after_the_lock_is_given_up(
    file: Path, stack: Up, monkeypatch: pytest.MonkeyPatch
) -> None:
    @contextmanager
    def lock(_: Layout) -> Iterator[None]:
        stack.done.append("lock")
        yield
        stack.done.append("unlock")

    monkeypatch.setattr(lifecycle, "locked", lock)
    assert run("backup", file, "--stop")[0] == 0
    assert stack.done == ["lock", "down", "unlock", ("kafka", "ingest")]


def test_both_tell_what_lies_elsewhere(
    home: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://:secret@elsewhere:6379/0")
    said = run("backup", file)[1]
    assert "Not in it: the online features, which REDIS_URL puts elsewhere." in said
    wipe(home)
    monkeypatch.setenv("LAKE_URI", "s3://lake/tables")
    said = run("restore", file)[1]
    assert "Not in the backup: the online features, which REDIS_URL put elsewhere." in said
    assert "LAKE_URI is set: the lake of the backup will not be used." in said
    assert "secret" not in said


def test_another_home_is_reported(
    file: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run("backup", file)[0] == 0
    monkeypatch.setenv("TAILRACE_HOME", str(tmp_path / "other"))
    said = run("restore", file)[1]
    assert f"It lay in {home}" in said


def test_a_broken_archive_ends_the_command_with_the_reason(file: Path, home: Path) -> None:
    assert run("backup", file)[0] == 0
    wipe(home)
    file.write_bytes(file.read_bytes()[:-30])
    code, said = run("restore", file)
    assert (code, "nothing was put in place" in said) == (1, True)
    assert not (home / "lake").exists()
