"""Processes of a stack that no supervisor looks after any more.

They are known by the mark in their environment: a pid in a file may long be somebody else's.
"""

from pathlib import Path

import psutil

from local.stack.circus_ini import MARK, PART_MARK
from local.stack.layout import Layout


def find(layout: Layout) -> list[psutil.Process]:
    """Every process of this stack, parts and their children, but not the supervisor."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == str(layout.home):
                found.append(process)
        except (psutil.Error, OSError):  # ended meanwhile, or not ours to look at
            continue
    return found


def stop(layout: Layout, grace: float = 20.0) -> list[str]:
    """End them, the broker last, and return the names of the parts that had some."""
    processes = find(layout)
    broker = [process for process in processes if _part(process).startswith("kafka")]
    names = sorted({_part(process) for process in processes})
    for group in ([process for process in processes if process not in broker], broker):
        for process in group:
            _signal(process, kill=False)
        _, alive = psutil.wait_procs(group, timeout=grace)
        for process in alive:
            _signal(process, kill=True)
        psutil.wait_procs(alive, timeout=5.0)
    return names


def _signal(process: psutil.Process, *, kill: bool) -> None:
    try:
        process.kill() if kill else process.terminate()
    except psutil.NoSuchProcess:
        return


def _part(process: psutil.Process) -> str:
    try:
        return process.environ().get(PART_MARK, "unknown")
    except (psutil.Error, OSError):
        return "unknown"


def remove_sockets(folder: Path) -> None:
    """Remove the supervisor's sockets and their folder."""
    for socket in folder.glob("*.sock"):
        socket.unlink(missing_ok=True)
    if folder.is_dir():
        folder.rmdir()
