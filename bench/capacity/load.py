"""The kinds of work, each by itself: the same flights are asked about, labelled and recorded."""

import asyncio
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from bench.capacity.costs import Phase
from bench.capacity.meter import Meter, Reading

from event_schemas import ModelTrained, RetrainRequested
from servicekit.kafka import KafkaBus
from tailrace.bus import publish
from tailrace.flights.dataset import WEATHER_LEAD, load
from tailrace.flights.journal import Journal
from tailrace.flights.replay import MODEL, Script
from tailrace.traffic.observer import Observer
from tailrace.traffic.platform import Platform

FIRST = datetime(2013, 1, 1, tzinfo=UTC)
START = datetime(2013, 1, 15, tzinfo=UTC)
"""Predictions begin here; the model learns from the two weeks before."""
HOUR = timedelta(hours=1)
CONNECTIONS = 32
BATCH = 500
"""Records or labels in one request."""
ON_THE_WAY = {
    "prediction": ("predictor", "valkey", "drift-windows", "drift-watch"),
    "label": ("ingest", "drift-windows"),
    "record": ("ingest", "valkey", "trainer"),
}
"""Parts that have something to do with each kind of work, beside the brokers."""
WRITTEN = {
    "prediction": ("prediction.logged", "drift-monitor.state"),
    "label": ("label.arrived", "drift-monitor.state"),
    "record": ("record.received", "data.arrived"),
}
"""Topics that grow with it."""


class Load:
    """Work for a stack.

    Args:
        meter: Reads what it costs.
        platform: The front doors.
        bus: The broker.
        days: How many days of flights.
        brokers: Names of the brokers' parts.
    """

    def __init__(
        self, meter: Meter, platform: Platform, bus: KafkaBus, days: int, brokers: tuple[str, ...]
    ) -> None:
        self._meter = meter
        self._platform = platform
        self._bus = bus
        self._brokers = brokers
        self._end = START + timedelta(days=days)
        self._script = Script(load(end=self._end), f"capacity-{uuid4().hex[:8]}")
        self._landings = self._script.landings(START, self._end)

    async def history(self) -> None:
        """Records of two weeks, for the first model."""
        rows = self._script.landings(FIRST, START)
        await self._records("weather", self._script.weather(FIRST - WEATHER_LEAD, START))
        await self._records("flights", rows)
        await self._stored("flights", len(rows))

    async def training(self) -> dict[str, float]:
        """A first version, until it is served: CPU seconds, seconds and rows.

        Raises:
            MeterError: There was none in time.
        """
        before = self._meter.read()
        journal = Journal("none", MODEL)
        with Observer(self._bus, journal):
            request = RetrainRequested(
                model=MODEL, cause="manual", requested_by="bench", event_time=START
            )
            await asyncio.to_thread(publish, self._bus, "/tailrace/bench", request)
            await self._meter.until("a first version", lambda: bool(journal.latest_steps()))
        spent = self._meter.phase(before, 1, ("trainer",))
        await self._meter.until(
            "the predictor to load it", lambda: self._meter.sum_of("predictor", "models_loaded") > 0
        )
        (trained,) = [e.body for e in journal.turns if isinstance(e.body, ModelTrained)]
        rows = float(sum(table.rows for table in trained.data))
        return {
            "cpu_seconds": spent.cpu_seconds["trainer"],
            "seconds": spent.seconds,
            "rows": rows,
        }

    async def predictions(self) -> Phase:
        """Every flight asks once; weather comes along, as it would, and is not counted."""
        handled = self._handled("drift-windows", "prediction.logged")
        before = self._meter.read()
        slots, asked = asyncio.Semaphore(CONNECTIONS), 0

        async def ask(request: dict[str, object]) -> None:
            async with slots:
                await self._platform.predict(request)

        hour = START
        while hour < self._end:
            await self._records("weather", self._script.weather(hour, hour + HOUR))
            requests = self._script.requests(hour, hour + HOUR)
            await asyncio.gather(*map(ask, requests))
            asked += len(requests)
            hour += HOUR
        await self._meter.until(
            "drift-windows to read the predictions",
            lambda: self._handled("drift-windows", "prediction.logged") - handled >= asked,
        )
        return await self._end_of("prediction", before, asked)

    async def labels(self) -> Phase:
        """The label of every flight that landed."""
        rows = self._script.labels(self._landings, asked_since=START)
        handled = self._handled("drift-windows", "label.arrived")
        before = self._meter.read()
        for at in range(0, len(rows), BATCH):
            await self._platform.labels(rows[at : at + BATCH])
        await self._meter.until(
            "drift-windows to read the labels",
            lambda: self._handled("drift-windows", "label.arrived") - handled >= len(rows),
        )
        return await self._end_of("label", before, len(rows))

    async def records(self) -> Phase:
        """The record of every flight that landed, into the lake."""
        before = self._meter.read()
        stored = self._rows("flights")
        await self._records("flights", self._landings)
        await self._stored("flights", stored + len(self._landings))
        return await self._end_of("record", before, len(self._landings))

    async def _end_of(self, kind: str, before: Reading, count: int) -> Phase:
        parts = (*ON_THE_WAY[kind], *self._brokers)
        await self._meter.settled(*ON_THE_WAY[kind])
        return self._meter.phase(before, count, parts, WRITTEN[kind])

    async def _records(self, dataset: str, rows: list[dict[str, object]]) -> None:
        for at in range(0, len(rows), BATCH):
            await self._platform.records(dataset, rows[at : at + BATCH])

    async def _stored(self, dataset: str, rows: float) -> None:
        await self._meter.until("ingest to store it", lambda: self._rows(dataset) >= rows)

    def _rows(self, dataset: str) -> float:
        return self._meter.sum_of("ingest", "ingest_rows_total", dataset=dataset)

    def _handled(self, part: str, kind: str) -> float:
        return self._meter.sum_of(part, "tailrace_events_handled_total", type=kind)
