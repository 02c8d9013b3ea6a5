"""The spool: batches are appended to the end, read from the front, and deleted when delivered.

It is a row of files, segments, numbered in their order. One position in them
says what was delivered; it is kept in a small file beside them. A process that is killed may so
deliver again what it had delivered last; the readers of the events drop repeats by their ids.
"""

import logging
import os
import struct
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from predictor.adapters.journal.spool.frames import Damage, Frame, framed, read_frame
from predictor.adapters.journal.spool.slots import SpoolUnusableError, free_slots, take_slot

log = logging.getLogger(__name__)

SEGMENTS = 16
"""Files that a full spool has about; the space of a file comes back when all of it is delivered."""
SMALLEST_SEGMENT, LARGEST_SEGMENT = 64 * 1024, 64 * 1024 * 1024
_MARK = struct.Struct("<QQI")


class NotSpooledError(Exception):
    """A batch is not in the spool; `reason` is one word for metrics."""

    reason: str


class SpoolFullError(NotSpooledError):
    """The batch would take the spool over its bound."""

    reason = "full"


class DiskFailedError(NotSpooledError):
    """The operating system did not write the batch, or not all of it."""

    reason = "disk"


class SpoolPosition(NamedTuple):
    """Where a frame begins: number of the segment, offset in it."""

    segment: int
    offset: int


class Spool:
    """A slot of a folder, with all that lies in it and in the slots of processes that ended.

    It belongs to one thread at a time; the folder may be shared with other processes.

    Args:
        on_lost: called with the number of records in a part that turned out to be unreadable.

    Raises:
        SpoolUnusableError: the folder cannot be used.
    """

    def __init__(
        self,
        folder: Path,
        max_bytes: int,
        *,
        on_lost: Callable[[int], None] = lambda records: None,
    ) -> None:
        self._shared = folder
        self.max_bytes = max_bytes
        self._on_lost = on_lost
        self._segment_bytes = min(max(max_bytes // SEGMENTS, SMALLEST_SEGMENT), LARGEST_SEGMENT)
        self._slot = take_slot(folder)
        self.folder = self._slot.path
        self._segments: deque[list[int]] = deque([n, size] for n, size in _segments(self.folder))
        """Number and size of each, in order; only the last one grows."""
        self._bytes = sum(size for _, size in self._segments)
        self._writing: int | None = None
        self._reading: tuple[int, int] | None = None
        """Number and file descriptor of the segment under the reader."""
        try:
            self._mark = os.open(
                self.folder / "delivered", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
        except OSError as error:
            self._slot.close()
            raise SpoolUnusableError(
                f"SPOOL_DIR={folder}: {error.strerror}: make room, or set another folder"
            ) from error
        self._delivered = self._recall()
        self.read_from = self._delivered
        """Where the reader is; whoever remembers what comes next may set it past that."""
        last = self._segments[-1][0] if self._segments else 0
        # Numbers are not used again, or the mark would mean another file.
        self._next = max(last, self._delivered.segment) + 1
        self.adopt()

    @property
    def waiting_bytes(self) -> int:
        """Bytes that are not delivered yet."""
        if not self._segments:
            return 0
        first = self._segments[0][0]
        done = self._delivered.offset if self._delivered.segment == first else 0
        return self._bytes - done

    @property
    def end(self) -> SpoolPosition:
        """Where the writer is; where the reader is once it has read all."""
        return SpoolPosition(*self._segments[-1]) if self._segments else self.read_from

    def append(self, payload: bytes, records: int, written_ms: int) -> None:
        """Write a batch; a kill of this process can take it no more.

        Raises:
            SpoolFullError: it would go over the bound.
            DiskFailedError: the disk did not take it; nothing of it is left.
        """
        data = framed(payload, records, written_ms)
        if self._bytes + len(data) > self.max_bytes:
            raise SpoolFullError(
                f"{self.waiting_bytes} bytes of predictions wait for Kafka, of {self.max_bytes}"
            )
        try:
            if self._writing is None or self._segments[-1][1] >= self._segment_bytes:
                self._writing = self._begin_segment()
            self._write(self._writing, data)
        except OSError as error:
            raise DiskFailedError(f"{self.folder}: {error.strerror}") from error
        self._segments[-1][1] += len(data)
        self._bytes += len(data)

    def _write(self, file: int, data: bytes) -> None:
        before = self._segments[-1][1]
        try:
            written = os.write(file, data)
            while written < len(data):  # what a disk takes that is nearly full
                written += os.write(file, data[written:])
        except OSError:
            self._cut(file, before)
            raise

    def _cut(self, file: int, size: int) -> None:
        """Take a half-written frame away; where that fails, leave it as the end of its segment."""
        try:
            os.ftruncate(file, size)
        except OSError:
            self._end_segment()

    def _begin_segment(self) -> int:
        self._end_segment()
        number = self._next
        file = os.open(
            self._file(number),
            os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC,
            0o600,
        )
        self._next += 1
        self._segments.append([number, 0])
        return file

    def _end_segment(self) -> None:
        if self._writing is not None:
            os.close(self._writing)
            self._writing = None

    def read(self, max_bytes: int) -> Iterator[tuple[Frame, SpoolPosition]]:
        """The next batches, about so many bytes of them, each with the position after it.

        What is unreadable is passed over, given to `on_lost`, and logged.
        """
        found = False
        while not found and (segment := self._under_reader()) is not None:
            number, size = segment
            data, is_all = self._ahead(number, size, max_bytes)
            start, at = self.read_from.offset, 0
            if not data:  # somebody has cut the file off
                self.read_from = SpoolPosition(number, size)
            while at < len(data):
                frame = read_frame(data, at, is_all=is_all)
                if frame is None:
                    break
                at = size - start if frame.end is None else frame.end
                self.read_from = SpoolPosition(number, start + at)
                if isinstance(frame, Frame):
                    found = True
                    yield frame, self.read_from
                else:
                    self._report(number, frame)

    def _ahead(self, number: int, size: int, max_bytes: int) -> tuple[bytes, bool]:
        """At least one frame of a segment, and whether that is all that is left of it."""
        start = self.read_from.offset
        left = size - start
        data = self._bytes_at(number, start, min(max_bytes, left))
        if len(data) < left and read_frame(data, 0, is_all=False) is None:
            # The frame is larger than what was asked for, or the file shorter than it was.
            return self._bytes_at(number, start, left), True
        return data, len(data) >= left

    def _under_reader(self) -> tuple[int, int] | None:
        """Number and size of the segment that the reader is in; None when it has read all."""
        for number, size in self._segments:
            if number == self.read_from.segment and self.read_from.offset < size:
                return number, size
            if number > self.read_from.segment and size:
                self.read_from = SpoolPosition(number, 0)
                return number, size
        return None

    def _bytes_at(self, number: int, offset: int, size: int) -> bytes:
        if self._reading is None or self._reading[0] != number:
            self._stop_reading()
            self._reading = number, os.open(self._file(number), os.O_RDONLY | os.O_CLOEXEC)
        return os.pread(self._reading[1], size, offset)

    def _stop_reading(self) -> None:
        if self._reading is not None:
            os.close(self._reading[1])
            self._reading = None

    def _report(self, number: int, damage: Damage) -> None:
        if damage.end is None:
            log.warning(
                "%s ends with a batch that was not written to its end: nobody was answered for it",
                self._file(number),
            )
            return
        log.error("%s: %d predictions are unreadable", self._file(number), damage.records)
        self._on_lost(damage.records)

    def mark_delivered(self, position: SpoolPosition) -> None:
        """Note that everything before a position is delivered, and delete segments that are."""
        self._delivered = position
        while self._segments and self._is_over(*self._segments[0]):
            if len(self._segments) == 1:
                self._end_segment()
            self._delete_first()
        with suppress(OSError):  # at worst something is sent again
            os.pwrite(self._mark, _mark(position), 0)

    def _is_over(self, number: int, size: int) -> bool:
        """Whether nothing in a segment waits, and nothing more will come into it."""
        if number != self._delivered.segment:
            return number < self._delivered.segment
        grows = self._writing is not None and number == self._segments[-1][0]
        return self._delivered.offset >= size and (not grows or size >= self._segment_bytes)

    def _delete_first(self) -> None:
        number, size = self._segments.popleft()
        self._bytes -= size
        if self._reading is not None and self._reading[0] == number:
            self._stop_reading()
        with suppress(OSError):
            self._file(number).unlink()

    def rewind(self) -> None:
        """Read again from what is not delivered."""
        self.read_from = self._delivered

    def adopt(self) -> int:
        """Take over what processes left that ended; returns how many bytes.

        A replica may never come back; whoever shares its folder sends what it could not.
        """
        taken = 0
        try:
            for other in free_slots(self._shared):
                for number, size in _segments(other.path):
                    if self._bytes + size > self.max_bytes:
                        break
                    self._take_over(other.path / _name(number), size)
                    taken += size
        except OSError as error:
            log.warning("%s: what other processes left stays there: %s", self._shared, error)
        if taken:
            log.info("%s: took over %d bytes that other processes left", self.folder, taken)
        return taken

    def _take_over(self, file: Path, size: int) -> None:
        self._end_segment()
        os.rename(file, self._file(self._next))
        self._segments.append([self._next, size])
        self._next += 1
        self._bytes += size

    def close(self) -> int:
        """Release the folder; returns the bytes that stay in it for the next process."""
        left = self.waiting_bytes
        self._end_segment()
        self._stop_reading()
        if not left:
            while self._segments:
                self._delete_first()
        os.close(self._mark)
        self._slot.close()
        return left

    def _file(self, number: int) -> Path:
        return self.folder / _name(number)

    def _recall(self) -> SpoolPosition:
        """What was delivered before this process; the start of all where that is not known."""
        first = SpoolPosition(self._segments[0][0], 0) if self._segments else SpoolPosition(0, 0)
        data = os.pread(self._mark, _MARK.size, 0)
        if len(data) != _MARK.size:
            return first
        number, offset, checksum = _MARK.unpack(data)
        if crc32(data[:-4]) != checksum:
            log.warning("%s: the mark is unreadable, so all of it is sent again", self.folder)
            return first
        return max(first, SpoolPosition(number, offset))


def _mark(position: SpoolPosition) -> bytes:
    data = _MARK.pack(*position, 0)[:-4]
    return data + crc32(data).to_bytes(4, "little")


def _name(number: int) -> str:
    return f"{number:012d}.spool"


def _segments(path: Path) -> list[tuple[int, int]]:
    return [
        (int(file.stem), file.stat().st_size)
        for file in sorted(path.glob("*.spool"))
        if file.stem.isdecimal()
    ]
