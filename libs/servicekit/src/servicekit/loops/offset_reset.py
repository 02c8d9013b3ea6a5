"""Moves the place where a loop goes on reading, once, when a person asks for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from servicekit.bus import GroupSession, Place, Record, TransactionalSession
from servicekit.errors import RefusedMoveError
from servicekit.start import Start


@dataclass(frozen=True, slots=True)
class Move:
    """What is asked for."""

    start: Start
    reset_state: bool = False
    """Whether state that was counted from the topics is forgotten with it."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What was done."""

    loop: str
    places: Sequence[Place]
    forgotten: int = 0
    """Keys of the state."""


class Movable(Protocol):
    """A component that reads from a place of its own."""

    name: str

    def move(self, move: Move) -> Moved:
        """Set where the next start goes on; the loop must not be open.

        Raises:
            RefusedMoveError: nothing was done.
            UnavailableError: nothing was done.
            FatalBusError: a process of the same slot or member came in between.
        """
        ...


def move_group(name: str, session: GroupSession, move: Move) -> Moved:
    """Move a group; its effects know what they have had."""
    session.open()
    try:
        places = session.places(move.start)
        session.commit({(p.topic, p.partition): p.target for p in places})
    finally:
        session.close()
    return Moved(name, places)


def move_slot(
    name: str, session: TransactionalSession, state_topic: str, slot: int, move: Move
) -> Moved:
    """Move a slot and forget its state in one transaction.

    A process that has the slot is fenced by it, and starts anew from the new place.

    Raises:
        RefusedMoveError: it would count again what its state holds.
    """
    session.open()
    try:
        places = session.places(move.start)
        held: dict[bytes, None] = {}
        for message in session.restore():
            key = message.key or b""
            if message.value is None:
                held.pop(key, None)
            else:
                held[key] = None
        if held and not move.reset_state and (back := [p for p in places if _goes_back(p)]):
            where = ", ".join(f"{p.topic}[{p.partition}]" for p in back)
            raise RefusedMoveError(
                f"{name}: {state_topic} holds what was counted from {where}, which would be counted"
                " again: add --reset-state to forget it in the same step"
            )
        forgotten = list(held) if move.reset_state else []
        session.commit(
            [Record(state_topic, key, None, partition=slot) for key in forgotten],
            {(p.topic, p.partition): p.target for p in places},
        )
    finally:
        session.close()
    return Moved(name, places, len(forgotten))


def _goes_back(place: Place) -> bool:
    # Who has a state has read something: an offset that is gone tells nothing about how much.
    return place.committed is None or place.target < place.committed
