"""Waits until something has come about on a platform."""

import asyncio
import time
from collections.abc import Awaitable, Callable

from local.errors import StackError

PATIENCE_SECONDS = 180.0
"""How long one thing is waited for by default."""


class RunError(StackError):
    """Something did not happen in time; the text says what, and where to look."""


async def until(
    happened: Callable[[], bool | Awaitable[bool]],
    what: str,
    *,
    check: Callable[[], None],
    patience: float = PATIENCE_SECONDS,
    every: float = 0.1,
) -> None:
    """Wait for something.

    Args:
        happened: Whether it has.
        what: It, for people who waited in vain.
        check: Called at each look; raises when there is nothing left to wait for.
        patience: Seconds.
        every: Seconds between two looks.

    Raises:
        RunError: It did not happen in time.
    """
    give_up = time.monotonic() + patience
    while True:
        check()
        found = happened()
        if found if isinstance(found, bool) else await found:
            return
        if time.monotonic() > give_up:
            raise RunError(f"waited {patience:.0f} s in vain for {what}")
        await asyncio.sleep(every)
