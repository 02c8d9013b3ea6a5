"""Rests between the fetches of Faust's client, for a broker that answers empty ones at once."""

import asyncio
from typing import Any


def rest_between_fetches(seconds: float) -> None:
    """Let every consumer of this process wait between two fetches from one broker.

    The client has no setting for it: `fetch_max_wait_ms` is the broker's to honour, and the
    embedded one does not (see the kit's `RestingConsumer`). What is new waits `seconds` at most.
    """
    from aiokafka.consumer.fetcher import Fetcher

    fetch = Fetcher._proc_fetch_request

    async def fetch_and_rest(self: Fetcher, *request: Any) -> bool:
        more = await fetch(self, *request)
        await asyncio.sleep(seconds)
        return more

    Fetcher._proc_fetch_request = fetch_and_rest  # pyright: ignore[reportAttributeAccessIssue]
