"""Bring the local stack up, and take it down again."""

import fcntl
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from local.errors import StackError
from local.servers.server import Stage
from local.stack import circus_ini, leftovers, logs, record, restarts, supervisor
from local.stack.layout import Layout
from local.stack.plan import Stack
from local.stack.record import Record, RecordedPart
from local.stack.settings import StackSettings


@contextmanager
def locked(layout: Layout) -> Iterator[None]:
    """Keep two commands from starting or stopping the same stack at once.

    Raises:
        StackError: Another command holds the lock.
    """
    layout.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    with layout.lock.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackError(
                f"another tailrace up or down is at work in {layout.home}: wait for it"
            ) from None
        yield


def running(layout: Layout) -> Record | None:
    """The record of the stack if its supervisor is alive."""
    known = record.read(layout)
    return known if known and supervisor.alive(known) else None


def prepare(
    stack: Stack, layout: Layout, settings: StackSettings, report: Callable[[str], None]
) -> None:
    """Do what must be done once before some parts can start.

    Raises:
        StackError: It failed, or the home holds the data of another kind of broker.
    """
    if any(part.stage is Stage.BROKER for part in stack.parts):
        _require_same_broker(layout, f"{settings.broker} {settings.nodes}")
    for part in stack.parts:
        if part.prepare:
            report(f"Preparing {part.name} …")
            part.prepare()


def broker_of(layout: Layout) -> tuple[str, int]:
    """The kind of broker whose data the home holds, and the number of its nodes."""
    kind, nodes = (layout.data / "broker").read_text().split()
    return kind, int(nodes)


def _require_same_broker(layout: Layout, wanted: str) -> None:
    """Raise StackError when the home holds another kind of broker, whose offsets mean nothing."""
    mark = layout.data / "broker"
    if mark.exists():
        found = mark.read_text().strip()
    else:
        found = "embedded 1" if (layout.data / "kafka").exists() else wanted
    if found != wanted:
        kind, nodes = found.split()
        raise StackError(
            f"{layout.data} holds the topics of BROKER={kind} NODES={nodes}: start that, or choose "
            "another TAILRACE_HOME, or remove all that is stored with tailrace down --wipe"
        )
    layout.data.mkdir(mode=0o700, parents=True, exist_ok=True)
    mark.write_text(f"{wanted}\n")


def launch(stack: Stack, layout: Layout) -> Record:
    """Start all parts at once and return without waiting for them; `preflight` comes before it.

    Raises:
        StackError: The supervisor did not come up.
    """
    for folder in (layout.logs, layout.run, *(layout.data / part.name for part in stack.parts)):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    runtime = supervisor.runtime_folder(layout.home)
    control, events = (f"ipc://{runtime / name}.sock" for name in ("control", "events"))
    layout.circus_ini.write_text(circus_ini.render(stack.parts, layout, control, events))
    for part in stack.parts:
        layout.starts(part.name).unlink(missing_ok=True)
        logs.mark_start(layout.log(part.name))
    pid = supervisor.start(layout, control)
    started = Record(control, pid, str(runtime), record.recorded(stack))
    record.write(started, layout)
    return started


def wait_until_ready(
    started: Record, layout: Layout, *, begin: float, deadline: float, stop: Callable[[], bool]
) -> Iterator[tuple[RecordedPart, float]]:
    """Yield each part when it is ready, with the seconds since `begin`.

    Args:
        started: The stack.
        layout: Where its files lie.
        begin: When it was launched, on the monotonic clock.
        deadline: Seconds after `begin` by which all parts must be ready.
        stop: Whether to wait no longer.

    Raises:
        StackError: `stop` said so; or a part was given up, or was not ready in time, and the
            message holds the last lines of its log.
    """
    waiting = list(started.parts)
    while waiting:
        for part in tuple(waiting):
            if part.endpoint.ready():
                waiting.remove(part)
                yield part, time.monotonic() - begin
        if stop():
            raise StackError("stopped before the stack was in use")
        states = supervisor.states(started)
        for part in waiting:
            # Before its turn to be started comes, a part is "stopped" as well.
            given_up = restarts.gave_up(layout.starts(part.name), time.time())
            if given_up and states.get(part.name) == "stopped":
                raise StackError(_last_words(part, "ended again and again", layout))
        if waiting and time.monotonic() - begin > deadline:
            late = (_last_words(p, f"was not ready within {deadline:g} s", layout) for p in waiting)
            raise StackError("\n\n".join(late))
        time.sleep(0.2)


def take_down(layout: Layout) -> list[str]:
    """Stop what runs, services before their stores before the broker, and leave no process.

    Returns:
        The names of the parts that were stopped.
    """
    known = record.read(layout)
    stopped: list[str] = []
    if known and supervisor.alive(known):
        for stage in Stage:
            if parts := tuple(part for part in known.own if part.stage is stage):
                supervisor.stop(known, parts)
                stopped += [part.name for part in parts]
        supervisor.leave(known)
    if known:
        _await_end(known.supervisor, layout)
    # What the supervisor did not see: it was killed, or a part left a child behind.
    stopped += [name for name in leftovers.stop(layout) if name not in stopped]
    if known:
        leftovers.remove_sockets(Path(known.runtime))
    shutil.rmtree(layout.run, ignore_errors=True)
    return stopped


def clear(layout: Layout) -> None:
    """Take down what runs, and wipe what it has stored."""
    with locked(layout):
        take_down(layout)
    wipe(layout)


def wipe(layout: Layout) -> None:
    """Remove all that the stack has stored, and its home folder if nothing else is in it.

    Raises:
        StackError: The stack is up.
    """
    if running(layout):
        raise StackError("the stack is up: stop it first")
    for folder in layout.owned:
        shutil.rmtree(folder, ignore_errors=True)
    layout.lock.unlink(missing_ok=True)
    if not any(layout.home.iterdir()):
        layout.home.rmdir()


def _await_end(pid: int, layout: Layout) -> None:
    """Wait until the supervisor has ended; a stuck one is killed."""
    try:
        process = psutil.Process(pid)
        if str(layout.circus_ini) not in process.cmdline():
            return  # the pid is somebody else's by now
        try:
            process.wait(timeout=15.0)
        except psutil.TimeoutExpired:
            process.kill()
            process.wait(timeout=5.0)
    except psutil.NoSuchProcess:
        return


def _last_words(part: RecordedPart, what: str, layout: Layout) -> str:
    if part.stage is None:
        return f"{part.name} at {part.endpoint.shown} {what}"
    lines = logs.since_start(layout.log(part.name))[-15:] or ["(it wrote nothing)"]
    return "\n".join([f"{part.name} {what}. The end of {layout.log(part.name)}:", *lines])
