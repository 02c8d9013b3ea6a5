"""Sets where a loop goes on reading, once, when a person asks for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from servicekit.bus import GroupSession, PartitionOffset, Record, TransactionalSession
from servicekit.errors import RefusedResetError
from servicekit.start import Start


@dataclass(frozen=True, slots=True)
class OffsetReset:
    """What is asked for."""

    start: Start
    reset_state: bool = False
    """Whether state that was counted from the topics is forgotten with it."""


@dataclass(frozen=True, slots=True)
class ResetReport:
    """What was done."""

    loop: str
    offsets: Sequence[PartitionOffset]
    forgotten: int = 0
    """Keys of the state."""


class Resettable(Protocol):
    """A component that keeps offsets of its own."""

    name: str

    def reset_offsets(self, reset: OffsetReset) -> ResetReport:
        """Set where the next start goes on; the loop must not be open.

        Raises:
            RefusedResetError: nothing was done.
            UnavailableError: nothing was done.
            FatalBusError: a process of the same slot or member came in between.
        """
        ...


def reset_group(name: str, session: GroupSession, reset: OffsetReset) -> ResetReport:
    """Reset a group; its effects know what they have had."""
    session.open()
    try:
        offsets = session.offsets(reset.start)
        session.commit({(o.topic, o.partition): o.target for o in offsets})
    finally:
        session.close()
    return ResetReport(name, offsets)


def reset_slot(
    name: str, session: TransactionalSession, state_topic: str, slot: int, reset: OffsetReset
) -> ResetReport:
    """Reset a slot and forget its state in one transaction.

    A process that has the slot is fenced by it, and starts anew from the new offsets.

    Raises:
        RefusedResetError: it would count again what its state holds.
    """
    session.open()
    try:
        offsets = session.offsets(reset.start)
        keys: dict[bytes, None] = {}
        for message in session.restore():
            key = message.key or b""
            if message.value is None:
                keys.pop(key, None)
            else:
                keys[key] = None
        if keys and not reset.reset_state and (back := [o for o in offsets if _goes_back(o)]):
            where = ", ".join(f"{o.topic}[{o.partition}]" for o in back)
            raise RefusedResetError(
                f"{name}: {state_topic} holds what was counted from {where}, which would be counted"
                " again: add --reset-state to forget it in the same step"
            )
        forgotten = list(keys) if reset.reset_state else []
        session.commit(
            [Record(state_topic, key, None, partition=slot) for key in forgotten],
            {(o.topic, o.partition): o.target for o in offsets},
        )
    finally:
        session.close()
    return ResetReport(name, offsets, len(forgotten))


def _goes_back(offset: PartitionOffset) -> bool:
    # Who has a state has read something: an offset that is lost says nothing about how much.
    return offset.committed is None or offset.target < offset.committed
