"""A run: flights that are played against a platform while its topics are read."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from event_schemas import RetrainRequested
from servicekit.bus import Bus
from tailrace.bus import publish
from tailrace.flights.journal import Journal
from tailrace.flights.replay import MODEL, Replay, Script
from tailrace.traffic.observer import Observer
from tailrace.traffic.outbox import Rows
from tailrace.traffic.platform import Platform
from tailrace.traffic.waiting import PATIENCE_SECONDS, until

WEATHER_LAG = timedelta(hours=3)
"""Event time that the feature store may be behind before the replay waits for it. A report comes
each hour, and the model takes one as missing that is more than six hours old."""


class Run:
    """The clients of a platform, and what they have read from its topics.

    Args:
        script: What happens.
        bus: The platform's broker.
        addresses: Where its parts answer, by name.
        journal: Takes what is read.
        speed: Days of event time a second, at most.
        on_label: Called with each batch of labels before it is sent.
        wait_for: Waits until the replay may go on to an hour; by default for the weather.
    """

    def __init__(
        self,
        script: Script,
        bus: Bus,
        addresses: Mapping[str, str],
        journal: Journal,
        *,
        speed: float,
        on_label: Callable[[Rows], None],
        wait_for: Callable[[datetime], Awaitable[None]] | None = None,
    ) -> None:
        self.journal = journal
        self.platform = Platform(addresses["predictor"], addresses["ingest"])
        self.replay = Replay(
            script,
            self.platform,
            speed=speed,
            wait_for=wait_for or self._weather,
            on_label=on_label,
        )
        self._script = script
        self._bus = bus
        self._observer = Observer(bus, journal)

    @asynccontextmanager
    async def playing(self) -> AsyncIterator["Run"]:
        """Read the topics while the block runs, and end what clients do after it."""
        with self._observer:
            try:
                yield self
                self.check()
            finally:
                await self.replay.close()
                await self.platform.close()

    @property
    def sent(self) -> dict[str, int]:
        """Records that were sent, by dataset."""
        return {"flights": self.replay.flights.sent, "weather": self.replay.weather.sent}

    def stored(self, rows: int | None = None) -> bool:
        """Whether ingest has stored so many rows; by default as many as were sent."""
        found = self.journal.lake_rows.total() + self.journal.quarantined.total()
        return found >= (sum(self.sent.values()) if rows is None else rows)

    def missing_reports(self, hour: datetime) -> int:
        """How many reports of the weather ingest has still to store before an hour begins."""
        stored = self.journal.lake_rows["weather"] + self.journal.quarantined["weather"]
        return self._script.reports_until(hour - WEATHER_LAG) - stored

    async def first_model(self, start: datetime, requested_by: str) -> None:
        """Ask for a first version, and wait until it is rolled out."""
        request = RetrainRequested(
            model=MODEL, cause="manual", requested_by=requested_by, event_time=start
        )
        await asyncio.to_thread(publish, self._bus, f"/tailrace/{requested_by}", request)
        await self.until(
            lambda: bool(self.journal.latest_steps()),
            "the first version to be trained, approved and rolled out (see the log of trainer)",
        )

    async def served(self) -> None:
        """Wait until the predictor has loaded the first version."""

        async def loaded() -> bool:
            return MODEL in str(await self.platform.models())

        await self.until(loaded, "the predictor to load the first version")

    async def until(
        self,
        happened: Callable[[], bool | Awaitable[bool]],
        what: str,
        *,
        patience: float = PATIENCE_SECONDS,
        every: float = 0.1,
    ) -> None:
        """Wait for something.

        Raises:
            RunError: It did not happen in time, or the topics could not be read.
        """
        await until(happened, what, check=self.check, patience=patience, every=every)

    def check(self) -> None:
        """Raise RunError when the topics could not be read."""
        self._observer.check()

    async def _weather(self, hour: datetime) -> None:
        await self.until(lambda: self.missing_reports(hour) <= 0, "ingest to follow", every=0.01)
