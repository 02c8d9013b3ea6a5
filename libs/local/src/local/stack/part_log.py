"""Where the supervisor writes what a part says: whole lines, in a file that stays small."""

from pathlib import Path
from typing import Any, BinaryIO

LONGEST_LINE = 65_536


class RotatingFile:
    """A log file that becomes `.1`, `.2` … before it outgrows `max_bytes`."""

    def __init__(self, path: Path, max_bytes: int, backups: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._backups = backups
        self._file: BinaryIO | None = None

    def write(self, lines: bytes) -> None:
        """Append whole lines."""
        if self._file is None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._path.open("ab", buffering=0)
        if self._file.tell() and self._file.tell() + len(lines) > self._max_bytes:
            self._file = self._rotated(self._file)
        self._file.write(lines)

    def close(self) -> None:
        """Close the file; the next write opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _rotated(self, full: BinaryIO) -> BinaryIO:
        full.close()
        for number in range(self._backups, 0, -1):
            older = self._path.with_name(f"{self._path.name}.{number}")
            newer = self._path if number == 1 else older.with_suffix(f".{number - 1}")
            if newer.exists():
                newer.replace(older)
        return self._path.open("wb", buffering=0)


class PartLog:
    """A circus stream; the two of a part, stdout and stderr, share one file.

    Circus has a rotating stream of its own, but two of them on one file would rotate it under each
    other, and it cuts lines, and characters, where a read of the pipe happens to end.
    """

    _files: dict[Path, RotatingFile] = {}  # noqa: RUF012 one a file, for the whole supervisor

    def __init__(self, filename: str, max_bytes: str | int, backups: str | int, **_: Any) -> None:
        path = Path(filename)
        self._file = self._files.setdefault(path, RotatingFile(path, int(max_bytes), int(backups)))
        self._rest: dict[int, bytes] = {}

    def __call__(self, data: dict[str, Any]) -> None:
        """Take what was read from the pipe of one process (keys `data` and `pid`)."""
        text = self._rest.pop(data["pid"], b"") + data["data"]
        lines, newline, rest = text.rpartition(b"\n")
        if lines or newline:
            self._file.write(lines + newline)
        if len(rest) > LONGEST_LINE:
            self._file.write(rest + b"\n")
        elif rest:
            self._rest[data["pid"]] = rest

    def open(self) -> None:
        """Circus calls it before a start."""

    def close(self) -> None:
        """Circus calls it after a stop: the last words may lack an end of line."""
        for rest in self._rest.values():
            self._file.write(rest + b"\n")
        self._rest.clear()
        self._file.close()
