"""A sane client: it asks again while nobody answers or a 503 says to, and keeps a journal."""

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import aiohttp
import msgspec
from tests.chaos.evidence import Label, Sent

PATIENCE_SECONDS = 120.0
"""How long one request is tried again before it counts as never answered."""
TIMEOUT_SECONDS = 10.0
AGAIN = {429, 503}


class Client:
    """Predictors and ingest, as a client on the network sees them.

    Args:
        predictors: Base URLs of the predictors that are there now; asked in turn.
        ingest: Base URL of ingest.
        sent: The journal, written before a request leaves and after it was acknowledged.
        under_way: Requests for predictions that may be under way.
    """

    def __init__(
        self, predictors: Callable[[], Sequence[str]], ingest: str, sent: Sent, under_way: int = 16
    ) -> None:
        self._predictors = predictors
        self._ingest = ingest
        self._sent = sent
        self._turn = itertools.count()
        self._room = asyncio.Semaphore(under_way)
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=TIMEOUT_SECONDS),
            headers={"content-type": "application/json"},
        )
        self.latencies: list[tuple[float, float]] = []
        """Monotonic time and seconds of each answer 200 to a prediction, first try to last."""

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def until_served(self, model: str, seconds: float) -> None:
        """Wait until every predictor has a model, as whoever sends it traffic does.

        Raises:
            TimeoutError: one did not have it in time.
        """
        give_up = time.monotonic() + seconds
        while not all([await self._serves(each, model) for each in self._predictors()]):
            if time.monotonic() > give_up:
                raise TimeoutError(f"waited {seconds:g} s for every predictor to have {model}")
            await asyncio.sleep(0.1)

    async def _serves(self, predictor: str, model: str) -> bool:
        try:
            async with self._session.get(f"{predictor}/v2/models/{model}/ready") as response:
                return response.status == 200
        except (TimeoutError, aiohttp.ClientError):
            return False

    async def ask(self, request: dict[str, Any]) -> None:
        """Ask for a prediction."""
        name = request["prediction_id"]
        self._sent.asked[name] = datetime.fromisoformat(request["event_time"])
        async with self._room:
            begun = time.monotonic()
            if await self._post("predict", self._predictor, request, 200):
                self._sent.answered.add(name)
                now = time.monotonic()
                self.latencies.append((now, now - begun))

    async def records(self, dataset: str, id_column: str, records: list[dict[str, Any]]) -> None:
        """Hand over records."""
        names = {r["record"][id_column] for r in records}
        self._sent.records.setdefault(dataset, set()).update(names)
        url = f"{self._ingest}/v1/datasets/{dataset}/records"
        if await self._post("ingest", lambda: url, {"records": records}, 202):
            self._sent.acknowledged_records.setdefault(dataset, set()).update(names)

    async def labels(self, model: str, labels: Sequence[tuple[str, Label]]) -> None:
        """Hand over labels, by prediction id."""
        for name, label in labels:
            self._sent.labels.setdefault(name, set()).add(label)
        items = [
            {
                "prediction_id": name,
                "model": model,
                "label": label.value,
                "observed_at": label.observed_at.isoformat(),
            }
            for name, label in labels
        ]
        url = f"{self._ingest}/v1/labels"
        if await self._post("ingest", lambda: url, {"labels": items}, 202):
            for name, label in labels:
                self._sent.acknowledged_labels.setdefault(name, set()).add(label)

    def _predictor(self) -> str:
        there = self._predictors()
        return f"{there[next(self._turn) % len(there)]}/predict"

    async def _post(self, door: str, url: Callable[[], str], body: Any, expected: int) -> bool:
        """Whether it was acknowledged."""
        data = msgspec.json.encode(body)
        give_up = time.monotonic() + PATIENCE_SECONDS
        wait = 0.05
        while True:
            try:
                async with self._session.post(url(), data=data) as response:
                    text = await response.read()
                    self._sent.answers[door, response.status] += 1
                    if response.status == expected:
                        return True
                    problem = f"{door} answered {response.status}: {text[:300]!r}"
                    if response.status not in AGAIN:
                        self._sent.unanswered.append(problem)
                        return False
            except (TimeoutError, aiohttp.ClientError) as error:
                problem = f"{door} does not answer: {type(error).__name__} {error}"
            if time.monotonic() > give_up:
                self._sent.unanswered.append(problem)
                return False
            await asyncio.sleep(wait)
            wait = min(wait * 2, 1.0)
