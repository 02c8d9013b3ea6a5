"""What the predictor takes, and whether its pages answer, while it is under load."""

import asyncio
import time
from dataclasses import dataclass

import httpx
import psutil

PAGES = ("/readyz", "/health", "/metrics")


@dataclass(frozen=True)
class Look:
    """One look."""

    at: float
    """Seconds since the clients began."""
    rss_mb: float
    page: str
    status: int
    """0 where there was no answer within ten seconds."""
    ms: float


async def watch(url: str, pid: int, began: float, looks: list[Look]) -> None:
    """Look twice a second, until cancelled."""
    process = psutil.Process(pid)
    async with httpx.AsyncClient(timeout=10) as client:
        for turn in range(1_000_000):
            page = PAGES[turn % len(PAGES)]
            begun = time.perf_counter()
            try:
                status = (await client.get(url + page)).status_code
            except httpx.HTTPError:
                status = 0
            took = (time.perf_counter() - begun) * 1000
            rss = sum(p.memory_info().rss for p in (process, *process.children(recursive=True)))
            looks.append(Look(begun - began, rss / 1e6, page, status, took))
            await asyncio.sleep(max(0.0, 0.5 - took / 1000))
