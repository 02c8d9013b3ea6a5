"""The platform's front doors, as a client on the network sees them."""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec

PATIENCE_SECONDS = 120.0
"""How long one request is tried again while nobody answers."""


class PlatformError(Exception):
    """The platform refused, or was away for longer than `PATIENCE_SECONDS`."""


@dataclass
class Traffic:
    """Counts of what was asked and answered."""

    requested: int = 0
    """Predictions asked for, each once, however often it had to be sent."""
    answered: int = 0
    http_errors: int = 0
    """Answers to predictions other than 200."""
    retries: int = 0
    """Times that a request was sent again because nobody answered or a 503 said to."""


class Platform:
    """Asks for predictions and hands over records and labels; what fails to connect is retried.

    A retry is safe: predictions carry an id of the client's own, and ingest recognises what it has.
    """

    def __init__(self, predictor: str, ingest: str, connections: int = 64) -> None:
        self._predict_url = f"{predictor}/predict"
        self._models_url = f"{predictor}/v1/models"
        self._ingest = ingest
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=connections),
            timeout=aiohttp.ClientTimeout(total=30),
            headers={"content-type": "application/json"},
        )
        self.traffic = Traffic()

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def predict(self, request: dict[str, Any]) -> None:
        """Ask for one prediction, until it is answered with 200.

        Raises:
            PlatformError: the platform says that the request is wrong, or stays away.
        """
        self.traffic.requested += 1
        body = msgspec.json.encode(request)
        await self._post(self._predict_url, body, {200}, count_errors=True)
        self.traffic.answered += 1

    async def records(self, dataset: str, records: list[dict[str, Any]]) -> None:
        """Hand over records of a dataset."""
        body = msgspec.json.encode({"records": records})
        await self._post(f"{self._ingest}/v1/datasets/{dataset}/records", body, {200, 202})

    async def labels(self, labels: list[dict[str, Any]]) -> None:
        """Hand over labels."""
        body = msgspec.json.encode({"labels": labels})
        await self._post(f"{self._ingest}/v1/labels", body, {200, 202})

    async def models(self) -> Any:
        """What the predictor has loaded."""
        async with self._session.get(self._models_url) as response:
            return await response.json()

    async def _post(
        self, url: str, body: bytes, expected: set[int], *, count_errors: bool = False
    ) -> None:
        give_up = time.monotonic() + PATIENCE_SECONDS
        wait = 0.05
        while True:
            try:
                async with self._session.post(url, data=body) as response:
                    answer = await response.read()
                    if response.status in expected:
                        return
                    if count_errors:
                        self.traffic.http_errors += 1
                    problem = f"{url} answered {response.status}: {answer[:300]!r}"
                    if response.status not in {429, 503}:
                        raise PlatformError(problem)
            except (TimeoutError, aiohttp.ClientConnectionError) as error:
                problem = f"{url} does not answer: {error}"
            if time.monotonic() > give_up:
                raise PlatformError(problem)
            self.traffic.retries += 1
            await asyncio.sleep(wait)
            wait = min(wait * 2, 1.0)
