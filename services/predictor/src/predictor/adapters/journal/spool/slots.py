"""A folder for many processes: each takes a slot of its own, and holds it by a lock.

The operating system drops the lock with the process, however it ends, so a slot that can be locked
belongs to nobody. What lies in it belongs to whoever comes next.
"""

import fcntl
import logging
import os
from collections.abc import Iterator
from pathlib import Path

log = logging.getLogger(__name__)

MAX_SLOTS = 256


class SpoolUnusableError(Exception):
    """The folder cannot hold a spool; the text says why, and how to mend it."""


class Slot:
    """A folder that is this process's alone until it is closed."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock

    def close(self) -> None:
        """Release it."""
        os.close(self._lock)


def take_slot(folder: Path) -> Slot:
    """The first slot of a folder that nobody holds.

    Raises:
        SpoolUnusableError: the folder cannot be written, or all slots are held.
    """
    for number in range(MAX_SLOTS):
        slot = _try(folder / str(number))
        if slot is not None:
            return slot
    raise SpoolUnusableError(
        f"SPOOL_DIR={folder}: {MAX_SLOTS} processes hold all of its slots; set another folder"
    )


def free_slots(folder: Path) -> Iterator[Slot]:
    """Slots that exist and that nobody holds, each locked until the next is asked for."""
    for path in sorted(folder.iterdir()):
        if not path.name.isdecimal():
            continue
        try:
            slot = _try(path)
        except SpoolUnusableError as error:  # another user's
            log.warning("%s", error)
            continue
        if slot is not None:
            try:
                yield slot
            finally:
                slot.close()


def _try(path: Path) -> Slot | None:
    try:
        # Features of people's requests lie here: nobody else is to read them.
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unusable(path, error) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    except OSError as error:
        os.close(lock)
        raise _unusable(path, error) from error
    return Slot(path, lock)


def _unusable(path: Path, error: OSError) -> SpoolUnusableError:
    return SpoolUnusableError(
        f"SPOOL_DIR={path.parent}: {error.strerror}: set it to a folder on a local disk that this"
        " process can write to, or set ANSWER_AFTER=brokers"
    )
