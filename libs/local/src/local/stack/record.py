"""What `up` has started, written down for `status`, `logs` and `down`.

They may run in a shell with other variables, and must still find this stack.
"""

import json
from dataclasses import asdict, dataclass, replace

from local.stack.endpoints import Endpoint, Protocol
from local.stack.layout import Layout
from local.stack.parts import Stack, Stage


@dataclass(frozen=True)
class Recorded:
    """A part as it was started; `stage` is None for one that belongs to somebody else."""

    name: str
    endpoint: Endpoint
    stage: Stage | None
    grace: float = 0.0


@dataclass(frozen=True)
class Record:
    """A started stack.

    Attributes:
        control: ZeroMQ address of the supervisor.
        supervisor: Its pid.
        runtime: Folder of its sockets.
    """

    control: str
    supervisor: int
    runtime: str
    parts: tuple[Recorded, ...]

    @property
    def own(self) -> tuple[Recorded, ...]:
        """The parts that the supervisor runs."""
        return tuple(part for part in self.parts if part.stage is not None)


def recorded(stack: Stack) -> tuple[Recorded, ...]:
    """The parts of a plan, for a record."""
    return (
        *(Recorded(p.name, p.endpoint, p.stage, p.grace) for p in stack.parts),
        *(Recorded(name, endpoint, None) for name, endpoint in stack.external.items()),
    )


def write(record: Record, layout: Layout) -> None:
    """Write a record where only its owner can read it: an address may hold a password."""
    layout.record.touch(mode=0o600)
    layout.record.write_text(json.dumps(asdict(record), indent=1))


def read(layout: Layout) -> Record | None:
    """The record of the stack in this home, or None when none was started."""
    try:
        raw = json.loads(layout.record.read_text())
    except FileNotFoundError:
        return None
    parts = tuple(_part(part) for part in raw.pop("parts"))
    return replace(Record(**raw, parts=()), parts=parts)


def _part(raw: dict) -> Recorded:
    endpoint = Endpoint(**raw["endpoint"] | {"protocol": Protocol(raw["endpoint"]["protocol"])})
    stage = None if raw["stage"] is None else Stage(raw["stage"])
    return Recorded(raw["name"], endpoint, stage, raw["grace"])
