"""Put an archive of state back, after every byte of it was checked."""

import hashlib
import shutil
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from local.errors import StackError
from local.stack import manifest, state
from local.stack.archive import Progress
from local.stack.layout import Layout
from local.stack.manifest import Manifest


def restore(archive: Path, layout: Layout, *, progress: Progress) -> Manifest:
    """Unpack beside the state, verify, and only then put it in place.

    The stack must be down and stay so: `lifecycle.locked` sees to it.

    Args:
        archive: What `archive.write` made.
        layout: Where the files are to lie.
        progress: Called with the size of each file.

    Raises:
        StackError: The home has state already, or the archive is broken, forged or of another
            format; nothing was put in place.
    """
    if found := state.present(layout):
        raise StackError(
            f"there is state in {layout.home}: {', '.join(found)}. Remove it with "
            "tailrace down --wipe, or give another TAILRACE_HOME"
        )
    with tempfile.TemporaryDirectory(prefix=".restore-", dir=layout.home) as folder:
        staged = Path(folder)
        with _errors_name(archive):
            names = _unpack(archive, staged, layout, progress)
            contents = _read_manifest(staged)
            _verify(staged, contents, names)
        _move_into_home(staged, layout)
    return contents


@contextmanager
def _errors_name(archive: Path) -> Iterator[None]:
    """Turn an error into one that names the archive, and says that it did no harm."""
    harmless = f"{archive} was not restored, and nothing was put in place"
    try:
        yield
    except (tarfile.FilterError, _RefusedError) as error:
        raise StackError(f"{harmless}: {error}") from error
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise StackError(f"{harmless}: it is no whole archive ({error})") from error
    except OSError as error:
        raise StackError(f"{harmless}: {error}") from error


class _RefusedError(Exception):
    """The archive holds what no backup does."""


def _unpack(archive: Path, staged: Path, layout: Layout, progress: Progress) -> set[str]:
    names: set[str] = set()
    with tarfile.open(archive, "r:gz") as tar:
        for member in tar:
            _check(member, layout)
            if member.name in names:
                raise _RefusedError(f"{member.name!r} is in it twice")
            names.add(member.name)
            tar.extract(member, staged, filter="data")
            progress(member.size)
        # tarfile stops at the end of the archive; the checksum of gzip comes after it.
        while tar.fileobj and tar.fileobj.read(1 << 20):
            pass
    return names


def _check(member: tarfile.TarInfo, layout: Layout) -> None:
    """Tighter than tarfile's `data` filter, which lets links inside of the folder pass."""
    path = PurePosixPath(member.name)
    known = {root.name for root in state.roots(layout)}
    if not member.isreg():
        raise _RefusedError(f"{member.name!r} is no plain file")
    if path.is_absolute() or ".." in path.parts or str(path) != member.name:
        raise _RefusedError(f"{member.name!r} leads out of the folder")
    if member.name != manifest.NAME and (path.parts[0] not in known or len(path.parts) < 2):
        raise _RefusedError(f"{member.name!r} is no part of the state")


def _read_manifest(staged: Path) -> Manifest:
    text = staged / manifest.NAME
    if not text.is_file():
        raise _RefusedError("it has no manifest, so it was cut off or is no backup")
    try:
        return Manifest.model_validate_json(text.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise _RefusedError(
            f"its manifest cannot be read ({where}: {first['msg']}): use the version of Tailrace "
            "that made it"
        ) from error


def _verify(staged: Path, contents: Manifest, names: set[str]) -> None:
    listed = {file.path for file in contents.files}
    if strange := sorted(names - listed - {manifest.NAME}):
        raise _RefusedError(f"its manifest does not list {strange[0]!r}")
    if missing := sorted(listed - names):
        raise _RefusedError(f"it lacks {missing[0]!r}, which its manifest lists")
    for file in contents.files:
        with (staged / file.path).open("rb") as content:
            found = hashlib.file_digest(content, "sha256").hexdigest()
        if found != file.sha256:
            raise _RefusedError(
                f"{file.path} has the SHA-256 {found}, and should have {file.sha256}"
            )


def _move_into_home(staged: Path, layout: Layout) -> None:
    """Rename into the home; a folder that is there holds caches or nothing."""
    for root in state.roots(layout):
        came = staged / root.name
        if came.exists():
            shutil.rmtree(root, ignore_errors=True)
            came.chmod(0o700)
            came.rename(root)
