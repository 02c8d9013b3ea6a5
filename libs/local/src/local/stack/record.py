"""What `up` has started, written down for `status`, `logs` and `down`.

They may run in a shell with other variables, and must still find this stack.
"""

from dataclasses import dataclass

from pydantic import TypeAdapter

from local.endpoint import Endpoint
from local.servers.server import Stage
from local.stack.layout import Layout
from local.stack.plan import Stack


@dataclass(frozen=True)
class RecordedPart:
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
    parts: tuple[RecordedPart, ...]

    @property
    def own(self) -> tuple[RecordedPart, ...]:
        """The parts that the supervisor runs."""
        return tuple(part for part in self.parts if part.stage is not None)

    @property
    def addresses(self) -> dict[str, str]:
        """The address of each part, by name."""
        return {part.name: part.endpoint.address for part in self.parts}


_JSON = TypeAdapter(Record)


def recorded(stack: Stack) -> tuple[RecordedPart, ...]:
    """The parts of a plan, for a record."""
    return (
        *(RecordedPart(p.name, p.endpoint, p.stage, p.grace) for p in stack.parts),
        *(RecordedPart(name, endpoint, None) for name, endpoint in stack.external.items()),
    )


def write(record: Record, layout: Layout) -> None:
    """Write a record where only its owner can read it: an address may hold a password."""
    layout.record.touch(mode=0o600)
    layout.record.write_bytes(_JSON.dump_json(record, indent=1))


def read(layout: Layout) -> Record | None:
    """The record of the stack in this home, or None when none was started."""
    try:
        return _JSON.validate_json(layout.record.read_bytes())
    except FileNotFoundError:
        return None
