"""What each part of a running stack does now."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import psutil

from local.stack import restarts, supervisor
from local.stack.layout import Layout
from local.stack.record import Record, RecordedPart

SAMPLE = 0.3
"""Seconds over which the use of the processor is measured."""


class State(StrEnum):
    """What a part is doing, seen from outside."""

    READY = "ready"
    NOT_READY = "not ready"
    RESTARTING = "restarting"
    GAVE_UP = "gave up"
    STOPPED = "stopped"
    EXTERNAL = "external"
    UNREACHABLE = "unreachable"

    @property
    def good(self) -> bool:
        """Whether others can rely on the part."""
        return self in (State.READY, State.EXTERNAL)


@dataclass(frozen=True)
class PartStatus:
    """One part as it is now; processes include the children of the part.

    Attributes:
        uptime: Seconds since the process was started.
        cpu: Share of one core, 1.0 being a whole one.
        memory: Resident bytes, shared pages counted in each process.
        address: Where it answers, without a password.
    """

    name: str
    state: State
    pid: int | None
    restarts: int | None
    uptime: float | None
    cpu: float | None
    memory: int | None
    address: str


def of(stack: Record, layout: Layout) -> list[PartStatus]:
    """Look at every part of the stack.

    Raises:
        SupervisorGoneError: The supervisor does not answer.
    """
    pids = {part.name: supervisor.pid(stack, part.name) for part in stack.own}
    families = {name: _family(pid) for name, pid in pids.items() if pid}
    for family in families.values():
        _measured(family, _cpu)  # psutil measures from one call to the next
    time.sleep(SAMPLE)
    states = supervisor.states(stack)
    return [
        _status(part, pids.get(part.name), families.get(part.name, []), states, layout)
        for part in stack.parts
    ]


def _status(
    part: RecordedPart,
    pid: int | None,
    family: list[psutil.Process],
    states: dict[str, str],
    layout: Layout,
) -> PartStatus:
    ready = part.endpoint.ready()
    if part.stage is None:
        state = State.EXTERNAL if ready else State.UNREACHABLE
        return PartStatus(part.name, state, None, None, None, None, None, part.endpoint.shown)
    starts = restarts.times(layout.starts(part.name))
    return PartStatus(
        name=part.name,
        state=_state(ready, states.get(part.name, "stopped"), pid, starts),
        pid=pid,
        restarts=max(0, len(starts) - 1),
        uptime=next((time.time() - born for born in _measured(family[:1], _born)), None),
        cpu=sum(_measured(family, _cpu)) if family else None,
        memory=int(sum(_measured(family, _resident))) if family else None,
        address=part.endpoint.shown,
    )


def _state(ready: bool, circus: str, pid: int | None, starts: list[float]) -> State:
    if circus == "stopped":
        gave_up = len(starts) >= restarts.MOST_STARTS
        return State.GAVE_UP if gave_up else State.STOPPED
    if ready:
        return State.READY
    return State.NOT_READY if pid else State.RESTARTING


def _family(pid: int) -> list[psutil.Process]:
    try:
        parent = psutil.Process(pid)
        return [parent, *parent.children(recursive=True)]
    except psutil.Error:
        return []


def _measured(
    family: list[psutil.Process], measure: Callable[[psutil.Process], float]
) -> list[float]:
    """A measure of each process that is still there."""
    found: list[float] = []
    for process in family:
        try:
            found.append(measure(process))
        except psutil.Error:
            continue
    return found


def _born(process: psutil.Process) -> float:
    return process.create_time()


def _cpu(process: psutil.Process) -> float:
    return process.cpu_percent() / 100


def _resident(process: psutil.Process) -> float:
    return process.memory_info().rss
