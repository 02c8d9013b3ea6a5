"""Who of a batch is still waited for, and who waits no longer than allowed."""

import asyncio
from collections.abc import Sequence
from typing import Protocol, TypeVar

from predictor.domain.deadlines import too_late


class Awaited(Protocol):
    """Something that somebody waits for until its deadline."""

    deadline: float

    @property
    def gone(self) -> bool:
        """Whether nobody waits any more."""
        ...


A = TypeVar("A", bound=Awaited)


def awaited(batch: list[A], now: float) -> tuple[list[A], Sequence[A]]:
    """Those that are worth the work, and those for which it is too late.

    Args:
        batch: in its order.
        now: on the clock of the deadlines; at its deadline it is too late.
    """
    if all(now < each.deadline and not each.gone for each in batch):
        return batch, ()
    worth: list[A] = []
    late: list[A] = []
    for each in batch:
        (worth if now < each.deadline and not each.gone else late).append(each)
    return worth, late


async def until(done: "asyncio.Future[None]", left: float, allowed: float) -> None:
    """Wait for an end for the seconds that are left of those that are allowed.

    Raises:
        DeadlineError: it takes longer; whoever works for it sees that nobody waits any more.
    """
    try:
        async with asyncio.timeout(left):
            await done
    except TimeoutError:
        raise too_late(allowed) from None
