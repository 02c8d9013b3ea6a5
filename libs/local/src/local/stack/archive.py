"""Write the state of a stack that is down into one file, whole or not at all."""

import hashlib
import io
import os
import tarfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from local.errors import StackError
from local.stack import manifest, state
from local.stack.layout import Layout
from local.stack.manifest import ArchivedFile, Manifest

COMPRESSION = 6
"""Level of gzip; 9 takes twice as long and saves two per cent."""

Progress = Callable[[int], None]
"""Called with the number of bytes that were read."""


def write(
    layout: Layout, target: Path, *, left_out: dict[str, str], progress: Progress
) -> Manifest:
    """Archive all state in a home folder.

    The stack must be down and stay so: `lifecycle.locked` sees to it.

    Args:
        layout: Where the files lie.
        target: The archive; what is there is replaced, once the new one is whole.
        left_out: See `Manifest.left_out`.
        progress: Called with the size of each piece.

    Raises:
        StackError: There is no state, or it cannot be read or written.
    """
    found = list(state.files(layout))
    if not found:
        raise StackError(f"there is no state in {layout.home}: nothing to back up")
    try:
        with _whole(target) as stream:
            return _fill(stream, layout, found, left_out, progress)
    except OSError as error:
        raise StackError(f"no backup was made: {error}") from error


def _fill(
    stream: IO[bytes],
    layout: Layout,
    found: Iterable[Path],
    left_out: dict[str, str],
    progress: Progress,
) -> Manifest:
    with tarfile.open(fileobj=stream, mode="w:gz", compresslevel=COMPRESSION) as tar:
        listed = [_add(tar, path, layout, progress) for path in found]
        contents = Manifest(
            format=manifest.FORMAT,
            made_at=datetime.now(UTC),
            home=str(layout.home),
            versions=manifest.installed(),
            left_out=left_out,
            files=tuple(listed),
        )
        text = contents.model_dump_json(indent=1).encode()
        member = tarfile.TarInfo(manifest.NAME)
        member.size, member.mode = len(text), 0o600
        member.mtime = int(contents.made_at.timestamp())
        tar.addfile(member, io.BytesIO(text))
    return contents


def _add(tar: tarfile.TarFile, path: Path, layout: Layout, progress: Progress) -> ArchivedFile:
    name = path.relative_to(layout.home).as_posix()
    with path.open("rb") as file:
        member = tar.gettarinfo(arcname=name, fileobj=file)
        # A second name of the same file would become a link, which restore refuses.
        member.type, member.linkname = tarfile.REGTYPE, ""
        member.size = os.fstat(file.fileno()).st_size
        # Whose it is here says nothing about who restores it.
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        reader = _Hashing(file, progress)
        tar.addfile(member, reader)  # pyright: ignore[reportArgumentType] - it only reads
    return ArchivedFile(path=name, size=member.size, sha256=reader.digest.hexdigest())


class _Hashing:
    """A file that is hashed while it is read."""

    def __init__(self, file: IO[bytes], progress: Progress) -> None:
        self.digest = hashlib.sha256()
        self._file = file
        self._progress = progress

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.digest.update(data)
        self._progress(len(data))
        return data


@contextmanager
def _whole(target: Path) -> Iterator[IO[bytes]]:
    """A file that gets its name when all of it is on the disk, readable by its owner alone."""
    partial = target.with_name(f"{target.name}.partial")
    partial.unlink(missing_ok=True)
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(descriptor)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
