"""The folder of the supervisor's sockets is short, and ours alone."""

from pathlib import Path

import pytest

from local.errors import StackError
from local.stack.supervisor import runtime_folder

LONGEST_SOCKET_PATH = 107


@pytest.fixture(autouse=True)
def _runtime(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))


def test_only_its_owner_may_enter(tmp_path: Path) -> None:
    assert runtime_folder(tmp_path / "home").stat().st_mode & 0o777 == 0o700


def test_a_long_home_does_not_make_it_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR")
    monkeypatch.setattr("tempfile.gettempdir", lambda: "/tmp")
    folder = runtime_folder(Path("/" + "x" * 500))
    folder.rmdir()
    assert len(str(folder / "control.sock")) <= LONGEST_SOCKET_PATH


def test_two_homes_do_not_share_one(tmp_path: Path) -> None:
    assert runtime_folder(tmp_path / "a") != runtime_folder(tmp_path / "b")


def test_a_folder_that_others_may_enter_is_refused(tmp_path: Path) -> None:
    runtime_folder(tmp_path / "home").chmod(0o755)
    with pytest.raises(StackError, match="not a folder of yours alone"):
        runtime_folder(tmp_path / "home")


def test_a_link_in_its_place_is_refused(tmp_path: Path) -> None:
    folder = runtime_folder(tmp_path / "home")
    folder.rmdir()
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StackError, match="not a folder of yours alone"):
        runtime_folder(tmp_path / "home")
