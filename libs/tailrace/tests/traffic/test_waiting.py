"""Waiting for what comes about, and for what does not."""

import asyncio

import pytest

from tailrace.traffic.waiting import RunError, until


def test_it_looks_until_it_has_happened() -> None:
    looks: list[None] = []

    async def happened() -> bool:
        return len(looks) > 3

    asyncio.run(until(happened, "it", check=lambda: looks.append(None), every=0))
    assert len(looks) == 4


def test_what_does_not_happen_is_named() -> None:
    wait = until(lambda: False, "the lake", check=lambda: None, patience=0, every=0)
    with pytest.raises(RunError, match="waited 0 s in vain for the lake"):
        asyncio.run(wait)


def test_where_nothing_is_left_to_wait_for_the_reason_is_raised() -> None:
    def check() -> None:
        raise RunError("the broker is gone")

    with pytest.raises(RunError, match="the broker is gone"):
        asyncio.run(until(lambda: True, "the lake", check=check))
