"""Flights in the order of their events: weather comes, flights ask, landings bring labels."""

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from tailrace.flights.dataset import LATE_AFTER_MINUTES, WEATHER_FIELDS, Flights
from tailrace.traffic.outbox import Outbox, Rows
from tailrace.traffic.platform import Platform

MODEL = "flight_delay"
TICK = timedelta(hours=1)
TICKS_UNDER_WAY = 4
"""Hours whose flights may be asking at the same time."""
FLIGHT_COLUMNS = (
    "carrier",
    "origin",
    "dest",
    "hour",
    "weekday",
    "distance",
    "scheduled_minutes",
)


def iso(moment: datetime) -> str:
    """RFC 3339, as the platform's front doors take it."""
    return moment.isoformat().replace("+00:00", "Z")


class Script:
    """What happens in each hour, looked up by position in the sorted tables."""

    def __init__(self, flights: Flights, run: str, seed: int = 0) -> None:
        self.run = run
        self._seed = seed
        self._departing = flights.flights
        self._landing = flights.landed
        self._weather = flights.weather
        self._departures = _seconds(self._departing, "scheduled_departure")
        self._landings = _seconds(self._landing, "landed_at")
        self._reports = _seconds(self._weather, "observed_at")

    def weather(self, start: datetime, end: datetime) -> Rows:
        """Records of the weather that was reported in [start, end)."""
        part = _between(self._weather, self._reports, start, end)
        return [
            {
                "entity": row["origin"],
                "event_time": iso(row["observed_at"]),
                "record": {
                    "origin": row["origin"],
                    "observed_at": iso(row["observed_at"]),
                    **{f: _or_none(row[f]) for f in WEATHER_FIELDS},
                },
            }
            for row in part.to_dict("records")
        ]

    def reports_until(self, moment: datetime) -> int:
        """How many reports of the weather there were before a moment, since the data begin."""
        return int(np.searchsorted(self._reports, moment.timestamp()))

    def requests(self, start: datetime, end: datetime) -> Rows:
        """Requests of the flights that are scheduled to depart in [start, end), in some order."""
        part = _between(self._departing, self._departures, start, end)
        requests = [
            {
                "model": MODEL,
                "entity_id": row["flight_id"],
                "prediction_id": self.prediction_id(row["flight_id"]),
                "event_time": iso(row["scheduled_departure"]),
                "features": {name: row[name] for name in FLIGHT_COLUMNS},
            }
            for row in part.to_dict("records")
        ]
        random.Random(f"{self._seed} {iso(start)}").shuffle(requests)  # noqa: S311 - no secret
        return requests

    def landings(self, start: datetime, end: datetime) -> Rows:
        """Records of the flights that landed in [start, end)."""
        part = _between(self._landing, self._landings, start, end)
        return [
            {
                "entity": row["flight_id"],
                "event_time": iso(row["landed_at"]),
                "record": {
                    "flight_id": row["flight_id"],
                    "scheduled_departure": iso(row["scheduled_departure"]),
                    "landed_at": iso(row["landed_at"]),
                    "flight_number": int(row["flight_number"]),
                    **{name: row[name] for name in FLIGHT_COLUMNS},
                    "arrival_delay": float(row["arrival_delay"]),
                },
            }
            for row in part.to_dict("records")
        ]

    def labels(self, landings: Rows, asked_since: datetime) -> Rows:
        """Labels of the landed flights that had asked for a prediction."""
        since = iso(asked_since)
        return [
            {
                "prediction_id": self.prediction_id(landing["entity"]),
                "model": MODEL,
                "label": float(landing["record"]["arrival_delay"] > LATE_AFTER_MINUTES),
                "observed_at": landing["event_time"],
            }
            for landing in landings
            if landing["record"]["scheduled_departure"] >= since
        ]

    def prediction_id(self, flight_id: str) -> str:
        """The id under which a flight asks in this run."""
        return f"{self.run}.{flight_id}"


class Replay:
    """Plays a script against a platform, no faster than the platform can follow.

    Args:
        script: What happens.
        platform: Where clients ask and send.
        speed: Days of event time a second, at most.
        wait_for: Waits until the platform has followed closely enough to go on to an hour.
        on_label: Called with each batch of labels before it is sent.
        connections: Predictions asked for at the same time.
    """

    def __init__(
        self,
        script: Script,
        platform: Platform,
        *,
        speed: float,
        wait_for: Callable[[datetime], Awaitable[None]],
        on_label: Callable[[Rows], None],
        connections: int = 48,
    ) -> None:
        self._script = script
        self._platform = platform
        self._speed = speed
        self._wait_for = wait_for
        self._on_label = on_label
        self._slots = asyncio.Semaphore(connections)
        self._asking: set[asyncio.Task[None]] = set()
        self.now: datetime | None = None
        """Event time that the replay has reached."""
        self.weather = Outbox(lambda rows: platform.records("weather", rows))
        self.flights = Outbox(lambda rows: platform.records("flights", rows))
        self.labels = Outbox(platform.labels)

    async def history(self, start: datetime, end: datetime) -> None:
        """Hand over what happened before anyone asked for a prediction."""
        self.weather.put(self._script.weather(start, end))
        self.flights.put(self._script.landings(start, end))
        await self.drain()

    async def play(
        self, start: datetime, end: datetime, asked_since: datetime | None = None
    ) -> None:
        """Let [start, end) happen.

        Args:
            start: the first hour.
            end: the hour after the last one.
            asked_since: when flights began to ask, if that was before `start`: those that land
                now have labels too.
        """
        begun = time.monotonic()
        since = asked_since or start
        under_way: deque[tuple[datetime, Sequence[asyncio.Task[None]]]] = deque()
        for hour in _hours(start, end):
            self.now = hour
            await self._wait_for(hour)
            ahead = (hour - start) / timedelta(days=1) / self._speed - (time.monotonic() - begun)
            if ahead > 0:
                await asyncio.sleep(ahead)
            self.weather.put(self._script.weather(hour, hour + TICK))
            requests = self._script.requests(hour, hour + TICK)
            under_way.append((hour, [self._begin(r) for r in requests]))
            while len(under_way) >= TICKS_UNDER_WAY:
                await self._land(since, *under_way.popleft())
        while under_way:
            await self._land(since, *under_way.popleft())
        await self.drain()

    async def drain(self) -> None:
        """Wait until everything is handed over."""
        for outbox in (self.weather, self.flights, self.labels):
            await outbox.drain()

    async def close(self) -> None:
        """Stop asking and sending."""
        asking = list(self._asking)
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        for outbox in (self.weather, self.flights, self.labels):
            await outbox.close()

    def _begin(self, request: dict[str, Any]) -> "asyncio.Task[None]":
        task = asyncio.create_task(self._ask(request))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)
        return task

    async def _ask(self, request: dict[str, Any]) -> None:
        async with self._slots:
            await self._platform.predict(request)

    async def _land(
        self, since: datetime, hour: datetime, asking: Sequence[asyncio.Task[None]]
    ) -> None:
        """Send what landed in an hour, once all who departed in it have their answer."""
        for task in asking:
            await task
        landings = self._script.landings(hour, hour + TICK)
        labels = self._script.labels(landings, asked_since=since)
        self._on_label(labels)
        self.labels.put(labels)
        self.flights.put(landings)


def _hours(start: datetime, end: datetime) -> Iterator[datetime]:
    hour = start
    while hour < end:
        yield hour
        hour += TICK


def _seconds(table: pd.DataFrame, column: str) -> np.ndarray:
    return table[column].to_numpy(dtype="datetime64[s]").astype("int64")


def _between(
    table: pd.DataFrame, seconds: np.ndarray, start: datetime, end: datetime
) -> pd.DataFrame:
    first, last = np.searchsorted(seconds, [start.timestamp(), end.timestamp()])
    return table.iloc[first:last]


def _or_none(value: float) -> float | None:
    return None if value != value else value
