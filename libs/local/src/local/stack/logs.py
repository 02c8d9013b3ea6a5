"""Read the logs of the parts: their last lines, and what comes after them."""

import os
import time
from collections.abc import Generator
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

START = "──── tailrace up"


def mark_start(log: Path) -> None:
    """Write a line that separates this run of the stack from the one before."""
    with log.open("a") as file:
        file.write(f"{START} {datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC\n")


def since_start(log: Path) -> list[str]:
    """The lines that a part has written since the stack was started."""
    lines = last_lines(log, 2_000)
    starts = [number for number, line in enumerate(lines) if line.startswith(START)]
    return lines[starts[-1] + 1 :] if starts else lines


def last_lines(log: Path, count: int) -> list[str]:
    """The last `count` lines of a log; none if there is no log."""
    if count <= 0 or not log.exists():
        return []
    with log.open("rb") as file:
        text = b""
        position = file.seek(0, 2)
        while position and text.count(b"\n") <= count:
            step = min(65_536, position)
            position = file.seek(position - step)
            text = file.read(step) + text
    return text.decode(errors="replace").splitlines()[-count:]


def follow(logs: dict[str, Path], *, poll: float = 0.2) -> Generator[tuple[str, str], None, None]:
    """Yield (part, line) for each line that is written after this call; it never ends.

    A log that is rotated away is read to its end, then the new one from its beginning.
    """
    return _follow({part: Tail(path) for part, path in logs.items()}, poll)


def _follow(tails: dict[str, "Tail"], poll: float) -> Generator[tuple[str, str], None, None]:
    with ExitStack() as stack:
        for tail in tails.values():
            stack.enter_context(closing(tail))
        while True:
            for part, tail in tails.items():
                for line in tail.new_lines():
                    yield part, line
            time.sleep(poll)


class Tail:
    """What comes after the present end of a log file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._rest = b""
        if path.exists():
            self._file = path.open("rb")
            self._file.seek(0, 2)

    def close(self) -> None:
        """Close the file."""
        if self._file:
            self._file.close()

    def new_lines(self) -> list[str]:
        """The whole lines since the last call."""
        text = self._read()
        if self._rotated():
            text += self._reopened()
        *lines, self._rest = (self._rest + text).split(b"\n")
        return [line.decode(errors="replace") for line in lines]

    def _read(self) -> bytes:
        return self._file.read() if self._file else b""

    def _rotated(self) -> bool:
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return False
        if self._file is None:
            return True
        here = os.fstat(self._file.fileno())
        return (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino)

    def _reopened(self) -> bytes:
        self.close()
        self._file = self._path.open("rb")
        return self._read()
