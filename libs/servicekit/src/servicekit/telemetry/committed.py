"""Metrics that handlers raise when what they measure is committed, and not when it is tried.

A transaction that is aborted is handled again, and a counter in a handler would count it again.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import ParamSpec

P = ParamSpec("P")
Callback = Callable[[], object]

_callbacks: ContextVar[list[Callback] | None] = ContextVar("callbacks", default=None)


def when_committed(function: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
    """Call a function when the transaction that is being written is committed.

    It is not called if the transaction is aborted, and called at once outside of any.
    """
    callbacks = _callbacks.get()
    if callbacks is None:
        function(*args, **kwargs)
    else:
        callbacks.append(partial(function, *args, **kwargs))


@contextmanager
def collecting(callbacks: list[Callback]) -> Iterator[None]:
    """Add the calls to a list, for whoever commits."""
    token = _callbacks.set(callbacks)
    try:
        yield
    finally:
        _callbacks.reset(token)
