"""The supervisor: circusd in the background, spoken to over a socket of its owner alone."""

import hashlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from circus.client import CircusClient
from circus.exc import CallError

from local.errors import StackError, SupervisorGoneError
from local.stack.layout import Layout
from local.stack.record import Record, RecordedPart

START_DEADLINE = 20.0


def runtime_folder(home: Path) -> Path:
    """The folder of the supervisor's sockets, made for this user alone.

    It lies outside the home folder, whose path may be longer than the 107 bytes that the address
    of a Unix socket can have. Anybody could have made a folder of that name under a shared /tmp
    before us, so one that is not ours alone is refused: who can write to the socket can run
    commands as us.

    Raises:
        StackError: The folder belongs to somebody else, or others may enter it.
    """
    base = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    name = hashlib.sha256(os.fsencode(home)).hexdigest()[:12]
    folder = base / f"tailrace-{os.getuid()}-{name}"
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if folder.is_symlink() or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise StackError(f"{folder} is not a folder of yours alone: remove it")
    return folder


def start(layout: Layout, control: str) -> int:
    """Start circusd with the configuration in the home folder, and return its pid.

    Raises:
        StackError: It ended, or took no commands in time.
    """
    log = layout.log("supervisor")
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "circus.circusd", str(layout.circus_ini)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=layout.home,
            start_new_session=True,  # Ctrl-C in the terminal is meant for `tailrace up`
        )
    until = time.monotonic() + START_DEADLINE
    while not _answers(control):
        if process.poll() is not None:
            raise StackError(f"the supervisor ended with code {process.returncode}: see {log}")
        if time.monotonic() > until:
            process.terminate()
            raise StackError(f"the supervisor took no commands in {START_DEADLINE:g} s: see {log}")
    return process.pid


def alive(record: Record) -> bool:
    """Whether the supervisor of a recorded stack takes commands."""
    return psutil.pid_exists(record.supervisor) and _answers(record.control)


def states(record: Record) -> dict[str, str]:
    """What circus says of each part: active, starting, stopping or stopped.

    Raises:
        SupervisorGoneError: It does not answer.
    """
    return _call(record.control, "status")["statuses"]


def pid(record: Record, part: str) -> int | None:
    """The process of a part, or None when it has none now.

    Raises:
        SupervisorGoneError: The supervisor does not answer.
    """
    return next(iter(_call(record.control, "list", name=part).get("pids", ())), None)


def stop(record: Record, parts: tuple[RecordedPart, ...]) -> None:
    """Stop some parts side by side, and return when their processes have ended.

    Raises:
        SupervisorGoneError: It does not answer.
    """
    names = "|".join(part.name for part in parts)
    patience = max(part.grace for part in parts) + 15.0
    _call(record.control, "stop", patience, name=f"^({names})$", match="regex", waiting=True)


def leave(record: Record) -> None:
    """Let the supervisor itself end, with whatever it still runs.

    Raises:
        SupervisorGoneError: It does not answer.
    """
    _call(record.control, "quit", waiting=False)


def _answers(control: str) -> bool:
    try:
        _call(control, "numwatchers", 1.0)
    except SupervisorGoneError:
        return False
    return True


def _call(control: str, command: str, patience: float = 5.0, **properties: Any) -> dict[str, Any]:
    until = time.monotonic() + patience
    while (answer := _answer(control, command, patience, **properties)).get("status") == "error":
        reason = str(answer.get("reason"))
        # It does one thing at a time: while it starts the parts, it stops none.
        if "already running" not in reason or time.monotonic() > until:
            raise StackError(f"the supervisor refused {command}: {reason}")
        time.sleep(0.1)
    return answer


def _answer(control: str, command: str, patience: float, **properties: Any) -> dict[str, Any]:
    client = CircusClient(endpoint=control, timeout=patience)
    try:
        return client.send_message(command, **properties)  # pyright: ignore[reportReturnType]
    except CallError as error:
        raise SupervisorGoneError(
            f"the supervisor does not answer on {control}: {error}"
        ) from error
    finally:
        client.stop()
