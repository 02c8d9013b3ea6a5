"""Metrics that handlers tell when what they measure is committed, and not when it is tried.

A transaction that is aborted is handled again, and a counter in a handler would count it again.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Tell = Callable[[], object]

_held: ContextVar[list[Tell] | None] = ContextVar("held", default=None)


def when_committed(tell: Tell) -> None:
    """Call `tell` when the transaction that is being written is committed, and not if it is not.

    Outside of a transaction it is called at once.
    """
    held = _held.get()
    if held is None:
        tell()
    else:
        held.append(tell)


@contextmanager
def holding(held: list[Tell]) -> Iterator[None]:
    """Put what is to be told into a list, for whoever commits."""
    token = _held.set(held)
    try:
        yield
    finally:
        _held.reset(token)
