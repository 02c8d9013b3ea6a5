"""Who of a batch is still waited for."""

from typing import Protocol, TypeVar


class Awaited(Protocol):
    """Something that somebody waits for until its deadline."""

    deadline: float

    @property
    def gone(self) -> bool:
        """Whether nobody waits any more."""
        ...


A = TypeVar("A", bound=Awaited)


def awaited(batch: list[A], now: float) -> tuple[list[A], list[A]]:
    """Those that are worth the work, and those for which it is too late.

    Args:
        batch: in its order.
        now: on the clock of the deadlines; at its deadline it is too late.
    """
    worth: list[A] = []
    late: list[A] = []
    for each in batch:
        (worth if now < each.deadline and not each.gone else late).append(each)
    return worth, late
