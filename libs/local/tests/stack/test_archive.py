"""State goes into an archive and comes out of it as it was, or not at all."""

import hashlib
import io
import json
import os
import socket
import tarfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from local.errors import StackError
from local.stack import archive, state, unpack
from local.stack.layout import Layout
from local.stack.settings import StackSettings

STATE = {
    "data/kafka/kafka.json": b'{"topics": []}' * 1000,
    "data/mlflow/mlflow.db": b"SQLite",
    "data/mlflow/artifacts/1/run/artifacts/model.onnx": bytes(range(256)) * 50,
    "data/valkey/appendonlydir/appendonly.aof.1.incr.aof": b"",
    "data/drift-reports/flight_delay/r.html": "<p>Δ</p>".encode(),
    "lake/flights/_delta_log/00000000000000000000.json": b"{}",
    "lake/flights/" + "part-" * 30 + "c000.parquet": b"PAR1",
    "feast/registry.db": b"registry",
}
PASSING = {
    "data/model-cache/a.onnx": b"fetched again",
    "data/trainer/b.onnx": b"fetched again",
    "data/postgres/postmaster.pid": b"17",
    "logs/kafka.log": b"...",
    "run/stack.json": b"{}",
    "letters/to-a-friend": b"not the stack's",
}


def fill(home: Path, files: dict[str, bytes]) -> Layout:
    for name, content in files.items():
        path = home / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return Layout(home)


def held(home: Path) -> dict[str, bytes]:
    return {
        path.relative_to(home).as_posix(): path.read_bytes()
        for path in home.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def full(tmp_path: Path) -> Layout:
    return fill(tmp_path / "home", STATE | PASSING)


@pytest.fixture
def empty(tmp_path: Path) -> Layout:
    (tmp_path / "other").mkdir()
    return Layout(tmp_path / "other")


@pytest.fixture
def written(full: Layout, tmp_path: Path) -> Path:
    target = tmp_path / "backup.tar.gz"
    archive.write(full, target, left_out={}, progress=lambda _: None)
    return target


def restore(file: Path, layout: Layout) -> None:
    unpack.restore(file, layout, progress=lambda _: None)


def refused(file: Path, layout: Layout, why: str) -> None:
    with pytest.raises(StackError, match=why):
        restore(file, layout)
    assert list(layout.home.iterdir()) == []


Forge = Callable[..., Path]


@pytest.fixture
def forge(tmp_path: Path) -> Forge:
    """Makes an archive that tells the truth about its plain files, whatever else is in it."""

    def make(*members: tarfile.TarInfo, content: bytes = b"x", **changes: object) -> Path:
        file = tmp_path / "forged.tar.gz"
        plain = [m for m in members if m.isreg()]
        listed = [
            {"path": m.name, "size": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for m in plain
        ]
        contents = {
            "format": 1,
            "made_at": datetime(2013, 6, 1, tzinfo=UTC).isoformat(),
            "home": "/home",
            "versions": {},
            "left_out": {},
            "files": listed,
        }
        with tarfile.open(file, "w:gz") as tar:
            for member in members:
                member.size = len(content) if member.isreg() else 0
                tar.addfile(member, io.BytesIO(content))
            text = json.dumps(contents | changes).encode()
            manifest = tarfile.TarInfo("manifest.json")
            manifest.size = len(text)
            tar.addfile(manifest, io.BytesIO(text))
        return file

    return make


def member(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def test_all_state_comes_back_under_another_home_and_nothing_else(
    written: Path, empty: Layout
) -> None:
    restore(written, empty)
    assert held(empty.home) == STATE


def test_times_of_change_come_back_for_time_travel_in_the_lake_goes_by_them(
    full: Layout, tmp_path: Path, empty: Layout
) -> None:
    entry = "lake/flights/_delta_log/00000000000000000000.json"
    os.utime(full.home / entry, (1_370_044_800, 1_370_044_800))
    file = tmp_path / "b.tar.gz"
    archive.write(full, file, left_out={}, progress=lambda _: None)
    restore(file, empty)
    assert (empty.home / entry).stat().st_mtime == 1_370_044_800


def test_what_was_restored_can_be_backed_up_again_and_is_the_same(
    written: Path, empty: Layout, tmp_path: Path
) -> None:
    restore(written, empty)
    second = tmp_path / "second.tar.gz"
    manifest = archive.write(empty, second, left_out={}, progress=lambda _: None)
    assert {f.path: f.sha256 for f in manifest.files} == {
        name: hashlib.sha256(content).hexdigest() for name, content in STATE.items()
    }


def test_an_archive_is_for_its_owner_alone_and_names_files_sizes_and_versions(
    written: Path,
) -> None:
    assert written.stat().st_mode & 0o777 == 0o600
    with tarfile.open(written) as tar:
        *_, last = tar.getmembers()
        text = tar.extractfile(last)
        assert text is not None
        manifest = json.load(text)
    assert last.name == "manifest.json"
    assert {file["path"]: file["size"] for file in manifest["files"]} == {
        name: len(content) for name, content in STATE.items()
    }
    assert manifest["format"] == 1
    assert "tailrace" in manifest["versions"]


def test_every_byte_is_reported_to_the_progress(
    full: Layout, tmp_path: Path, empty: Layout
) -> None:
    seen: list[int] = []
    archive.write(full, tmp_path / "b.tar.gz", left_out={}, progress=seen.append)
    assert sum(seen) == sum(map(len, STATE.values()))


def test_one_file_under_two_names_is_two_files(tmp_path: Path, empty: Layout) -> None:
    layout = fill(tmp_path / "home", {"lake/a": b"same"})
    os.link(layout.lake / "a", layout.lake / "b")
    archive.write(layout, tmp_path / "b.tar.gz", left_out={}, progress=lambda _: None)
    restore(tmp_path / "b.tar.gz", empty)
    assert held(empty.home) == {"lake/a": b"same", "lake/b": b"same"}


def test_a_home_without_state_is_not_backed_up(tmp_path: Path) -> None:
    layout = fill(tmp_path / "home", PASSING)
    with pytest.raises(StackError, match="nothing to back up"):
        archive.write(layout, tmp_path / "b.tar.gz", left_out={}, progress=lambda _: None)
    assert not (tmp_path / "b.tar.gz").exists()


def test_a_backup_that_breaks_leaves_the_old_one_and_no_part_of_the_new(
    full: Layout, written: Path, tmp_path: Path
) -> None:
    before = written.read_bytes()

    def breaks(_: int) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(StackError, match="No space left"):
        archive.write(full, written, left_out={}, progress=breaks)
    assert written.read_bytes() == before
    assert list(tmp_path.glob("*.partial")) == []


@pytest.mark.parametrize("place", ["lake", "data/mlflow/artifacts", "data/kafka/kafka.json"])
def test_a_link_is_named_and_not_followed(tmp_path: Path, place: str) -> None:
    layout = fill(tmp_path / "home", {"feast/registry.db": b"r"})
    (tmp_path / "elsewhere").mkdir()
    (layout.home / place).parent.mkdir(parents=True, exist_ok=True)
    (layout.home / place).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StackError, match=f"{place} is a link"):
        archive.write(layout, tmp_path / "b.tar.gz", left_out={}, progress=lambda _: None)


def test_sockets_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout = fill(tmp_path / "home", {"data/kafka/kafka.json": b"{}"})
    monkeypatch.chdir(layout.data)  # the address of a socket must be short
    with socket.socket(socket.AF_UNIX) as door:
        door.bind("door.sock")
    assert list(state.files(layout)) == [layout.data / "kafka" / "kafka.json"]


def test_a_home_with_state_is_not_restored_into(written: Path, full: Layout) -> None:
    before = held(full.home)
    with pytest.raises(StackError) as refusal:
        restore(written, full)
    assert "data/drift-reports, data/kafka, data/mlflow, data/valkey, feast, lake" in str(
        refusal.value
    )
    assert "tailrace down --wipe" in str(refusal.value)
    assert held(full.home) == before


def test_caches_logs_and_empty_folders_are_no_state(written: Path, tmp_path: Path) -> None:
    layout = fill(tmp_path / "used", PASSING)
    (layout.data / "kafka").mkdir()
    restore(written, layout)
    passing = {name: what for name, what in PASSING.items() if not name.startswith("data/")}
    assert held(layout.home) == STATE | passing


@pytest.mark.parametrize("kept", [0.1, 0.5, 0.99])
def test_a_truncated_archive_is_refused(written: Path, empty: Layout, kept: float) -> None:
    whole = written.read_bytes()
    written.write_bytes(whole[: int(len(whole) * kept)])
    refused(written, empty, "nothing was put in place")


def test_what_is_no_archive_is_refused(tmp_path: Path, empty: Layout) -> None:
    file = tmp_path / "b.tar.gz"
    file.write_text("no archive")
    refused(file, empty, "nothing was put in place")
    file.write_bytes(b"")
    refused(file, empty, "nothing was put in place")


def test_an_archive_without_its_manifest_is_refused(tmp_path: Path, empty: Layout) -> None:
    file = tmp_path / "b.tar.gz"
    with tarfile.open(file, "w:gz") as tar:
        tar.addfile(member("lake/a"), io.BytesIO())
    refused(file, empty, "no manifest")


def test_a_wrong_checksum_is_refused(forge: Forge, empty: Layout) -> None:
    listed = [{"path": "lake/a", "size": 1, "sha256": "0" * 64}]
    refused(forge(member("lake/a"), files=listed), empty, "lake/a has the SHA-256")


def test_manifest_and_members_have_to_agree(forge: Forge, empty: Layout) -> None:
    refused(forge(member("lake/a"), files=[]), empty, "does not list 'lake/a'")
    listed = [{"path": "lake/b", "size": 1, "sha256": "0" * 64}]
    refused(forge(files=listed), empty, "lacks 'lake/b'")
    refused(forge(member("lake/a"), member("lake/a")), empty, "twice")


def test_another_format_is_refused_with_the_remedy(forge: Forge, empty: Layout) -> None:
    refused(forge(member("lake/a"), format=2), empty, "the version of Tailrace that made it")


@pytest.mark.parametrize(
    "hostile",
    [
        member("/etc/passwd"),
        member("../lake/a"),
        member("lake/../../a"),
        member("lake/./a"),
        member("lake"),
        member("logs/a"),
        member("run/circus.ini"),
        member(".lock"),
        member("lake/a", tarfile.SYMTYPE, "/etc/passwd"),
        member("lake/a", tarfile.LNKTYPE, "lake/b"),
        member("lake/a", tarfile.FIFOTYPE),
        member("lake/a", tarfile.CHRTYPE),
        member("lake/a", tarfile.BLKTYPE),
        member("lake/a", tarfile.DIRTYPE),
    ],
    ids=lambda info: f"{info.name}-{info.type.decode()}",
)
def test_hostile_members_are_refused(
    forge: Forge, empty: Layout, hostile: tarfile.TarInfo, tmp_path: Path
) -> None:
    file = forge(hostile)
    before = {path for path in tmp_path.rglob("*") if empty.home not in path.parents}
    refused(file, empty, "nothing was put in place")
    assert {path for path in tmp_path.rglob("*") if empty.home not in path.parents} == before


def test_what_lies_elsewhere_is_named_without_its_address(
    settings: Callable[..., StackSettings],
) -> None:
    assert state.kept_outside(settings()) == {}
    found = state.kept_outside(settings(redis_url="redis://:secret@h", lake_uri="s3://lake"))
    assert found == {"REDIS_URL": "the online features", "LAKE_URI": "the lake"}
