"""Sending in the background: order, batches, failures."""

import asyncio

import pytest

from tailrace.traffic.outbox import Outbox, Rows


def row(number: int) -> dict[str, int]:
    return {"n": number}


def test_everything_is_sent_once_and_in_order() -> None:
    async def play() -> list[Rows]:
        batches: list[Rows] = []

        async def send(rows: Rows) -> None:
            batches.append(list(rows))
            await asyncio.sleep(0)

        outbox = Outbox(send, largest=3)
        for number in range(8):
            outbox.put([row(number)])
        await outbox.drain()
        assert (outbox.sent, outbox.waiting) == (8, 0)
        await outbox.close()
        return batches

    batches = asyncio.run(play())
    assert [r["n"] for batch in batches for r in batch] == list(range(8))
    assert max(map(len, batches)) <= 3


def test_what_gathers_while_one_batch_is_under_way_goes_out_together() -> None:
    async def play() -> list[int]:
        sizes: list[int] = []
        begun, gate = asyncio.Event(), asyncio.Event()

        async def send(rows: Rows) -> None:
            sizes.append(len(rows))
            begun.set()
            await gate.wait()

        outbox = Outbox(send)
        outbox.put([row(0)])
        await begun.wait()
        for number in range(5):
            outbox.put([row(number)])
        gate.set()
        await outbox.drain()
        await outbox.close()
        return sizes

    assert asyncio.run(play()) == [1, 5]


def test_a_failure_reaches_whoever_waits() -> None:
    async def play() -> None:
        async def send(rows: Rows) -> None:
            raise ConnectionError("nobody is there")

        outbox = Outbox(send)
        outbox.put([row(0)])
        try:
            await outbox.drain()
        finally:
            await outbox.close()

    with pytest.raises(ConnectionError, match="nobody is there"):
        asyncio.run(play())
