"""One of several processes behind a port, as it sees itself and the others."""

import os
import signal
import socket
import threading
import time

from servicekit.listening import share
from servicekit.workers.board import Board, Notice


class Worker:
    """A worker's place among the others."""

    def __init__(self, number: int, board: Board, reserved: socket.socket) -> None:
        """Known to nobody before its first `tell`.

        Args:
            number: from 0; a worker that takes another's place has its number.
            board: of all workers.
            reserved: from `listening.reserve`.
        """
        self.number = number
        self._board = board
        self._reserved = reserved

    def listener(self) -> socket.socket:
        """A socket of its own on the shared port; it does not listen yet."""
        return share(self._reserved)

    def tell(self, *, listening: bool, ready: bool) -> None:
        """Say how it is; called so often that silence means that the event loop hangs."""
        self._board.write(self.number, Notice(os.getpid(), time.monotonic(), listening, ready))

    @property
    def others_answer(self) -> bool:
        """Whether a caller would do better with another worker than with one that is not ready."""
        return any(each.listening and each.ready for _, each in self._others())

    @property
    def unready(self) -> list[str]:
        """The other workers that take connections and are not ready, by name."""
        return [
            f"worker-{number}"
            for number, each in self._others()
            if each.listening and not each.ready
        ]

    @property
    def pids(self) -> list[int]:
        """The processes of all workers."""
        return [each.pid for each in self._board.read() if each.pid]

    def _others(self) -> list[tuple[int, Notice]]:
        notices = enumerate(self._board.read())
        return [(number, each) for number, each in notices if number != self.number]


def end_with(parent: int) -> None:
    """Tell this process to stop when the one that holds the other end of a pipe is gone.

    Args:
        parent: a file descriptor to read from; nobody ever writes to the other end.
    """

    def wait() -> None:
        os.read(parent, 1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="parent-watch", daemon=True).start()
