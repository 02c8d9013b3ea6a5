"""Replays the cases of some models against a platform that is up, all of them at once."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby

from rich.console import Console

from event_schemas import RetrainRequested
from servicekit.bus import Bus
from tailrace.bus import publish
from tailrace.cases.story import Story
from tailrace.cases.table import Case, ModelCases
from tailrace.describe import describe
from tailrace.traffic.observer import Observer
from tailrace.traffic.outbox import Outbox
from tailrace.traffic.platform import Platform
from tailrace.traffic.waiting import until

LAG_HOURS = 60
"""Hours with predictions that the monitor may be behind before the replay waits for it."""
TICK = timedelta(hours=1)
CONNECTIONS = 32
SAY_SECONDS = 10.0
"""Between two lines that say how far it is."""


class Play:
    """One replay.

    Args:
        cases: Of each model.
        bus: The platform's broker.
        addresses: Where its parts answer, by name.
        console: Shows how far it is.
        story: Keeps what comes of it.
        speed: Days of event time a second, at most.
    """

    def __init__(
        self,
        cases: Sequence[ModelCases],
        bus: Bus,
        addresses: Mapping[str, str],
        console: Console,
        story: Story,
        *,
        speed: float,
    ) -> None:
        self._cases = cases
        self._bus = bus
        self._addresses = addresses
        self._console = console
        self.story = story
        self._observer = Observer(bus, story)
        self._speed = speed
        self.start = max(each.start for each in cases)
        self.asked: Counter[str] = Counter()
        """Predictions asked for, by model."""
        self.labels: Counter[str] = Counter()
        """Labels sent, by model."""
        self._told = 0
        self._said = time.monotonic()
        self._recorded: set[tuple[str, str]] = set()
        """Datasets and entities whose record was sent: models may share a dataset."""

    async def run(self) -> None:
        """Play it all.

        Raises:
            RunError: A part of the loop did not answer in time.
        """
        platform = Platform(self._addresses["predictor"], self._addresses["ingest"])
        datasets = {each.dataset for each in self._cases}
        self._records = {
            name: Outbox(lambda rows, name=name: platform.records(name, rows)) for name in datasets
        }
        self._labels = Outbox(platform.labels)
        self._platform = platform
        self._slots = asyncio.Semaphore(CONNECTIONS)
        try:
            with self._observer:
                await self._history()
                await self._first_versions()
                await self._replay()
                await self._settle()
        finally:
            for outbox in (*self._records.values(), self._labels):
                await outbox.close()
            await platform.close()

    async def _history(self) -> None:
        for each in self._cases:
            known = [case for case in each.all if case.known_at < self.start]
            self._record(each, known)
        await self._drain()
        await self._until(self._stored, "the history to reach the lake (see the log of ingest)")
        rows = ", ".join(f"{count:,} of {name}" for name, count in sorted(self.story.rows.items()))
        self._say(f"records until {self.start:%d %b %Y} are in the lake: {rows}")

    async def _first_versions(self) -> None:
        for each in self._cases:
            request = RetrainRequested(
                model=each.model, cause="manual", requested_by="demo", event_time=self.start
            )
            await asyncio.to_thread(publish, self._bus, "/tailrace/demo", request)
        await self._until(
            lambda: all(self.story.steps(each.model) for each in self._cases),
            "first versions to be trained, approved and rolled out (see the log of trainer)",
        )

        async def loaded() -> bool:
            found = str(await self._platform.models())
            return all(f"'{each.model}'" in found for each in self._cases)

        await self._until(loaded, "the predictor to load the first versions")
        self._tell()

    async def _replay(self) -> None:
        waiting = {each.model: list[Case]() for each in self._cases}
        begun = time.monotonic()
        asked: list[datetime] = []
        for hour, of_hour in self._hours():
            await self._wait_for_platform(asked)
            asked.append(hour)
            due = begun + (hour - self.start) / timedelta(days=1) / self._speed
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            for each in self._cases:
                known = [case for case in waiting[each.model] if case.known_at <= hour]
                waiting[each.model] = [c for c in waiting[each.model] if c.known_at > hour]
                self._outcomes(each, known)
            asking = [self._ask(each, case) for each, case in of_hour]
            for each, case in of_hour:
                waiting[each.model].append(case)
            await asyncio.gather(*asking)
            self._tell()
        for each in self._cases:
            self._outcomes(each, waiting[each.model])
        await self._drain()

    def _hours(self) -> Iterator[tuple[datetime, list[tuple[ModelCases, Case]]]]:
        """The cases that are asked from `start` on, by the hour at whose end all was asked."""
        pairs = [(each, c) for each in self._cases for c in each.all if c.asked_at >= self.start]
        pairs.sort(key=lambda pair: pair[1].asked_at)

        def end(pair: tuple[ModelCases, Case]) -> datetime:
            whole = (pair[1].asked_at - self.start) // TICK
            return self.start + (whole + 1) * TICK

        for hour, found in groupby(pairs, end):
            yield hour, list(found)

    async def _ask(self, each: ModelCases, case: Case) -> None:
        async with self._slots:
            await self._platform.predict(dict(case.request))
        self.asked[each.model] += 1

    def _outcomes(self, each: ModelCases, cases: Sequence[Case]) -> None:
        self._labels.put([dict(case.label) for case in cases])
        self.labels[each.model] += len(cases)
        self._record(each, cases)

    def _record(self, each: ModelCases, cases: Sequence[Case]) -> None:
        new = [c for c in cases if (each.dataset, c.record["entity"]) not in self._recorded]
        self._recorded |= {(each.dataset, case.record["entity"]) for case in new}
        self._records[each.dataset].put([dict(case.record) for case in new])

    async def _drain(self) -> None:
        for outbox in (*self._records.values(), self._labels):
            await outbox.drain()

    def _stored(self) -> bool:
        sent = {name: outbox.sent for name, outbox in self._records.items()}
        return all(self.story.rows[name] >= count for name, count in sent.items())

    async def _wait_for_platform(self, asked: Sequence[datetime]) -> None:
        """Wait until the platform is where it would be if the hours that asked took their time.

        All but the newest are measured, and what trains has been trained: a training takes seconds,
        which here are days. Hours count, and not the time between them: after a gap in the data the
        monitor believes in the new time once enough predictions say so.
        """
        models = [each.model for each in self._cases]
        due = asked[-LAG_HOURS] if len(asked) >= LAG_HOURS else self.start

        def close() -> bool:
            measured = [self.story.measured_until(model) or self.start for model in models]
            return min(measured) >= due and not any(map(self.story.in_training, models))

        await self._until(
            close, "the drift-monitor and the trainer to follow (see their logs)", every=0.01
        )

    async def _settle(self) -> None:
        """Wait until all that was asked is in the log, and all that was sent is stored."""

        def settled() -> bool:
            logged = all(len(self.story.answered[m]) >= n for m, n in self.asked.items())
            return logged and self._stored()

        await self._until(settled, "the last predictions and records to arrive")
        self._tell()

    async def _until(
        self, happened: Callable[[], bool | Awaitable[bool]], what: str, *, every: float = 0.1
    ) -> None:
        """Wait for something, and tell what happens meanwhile; see `tailrace.traffic.waiting`."""

        def check() -> None:
            self._observer.check()
            self._tell()

        await until(happened, what, check=check, every=every)

    def _tell(self) -> None:
        """Print what has happened since the last time."""
        turns = self.story.turns
        while self._told < len(turns):
            event = turns[self._told]
            self._told += 1
            moment = getattr(event.body, "event_time", None)
            at = f"{moment:%d %b}  " if moment else ""
            self._console.print(
                f"  {at}{event.body.model}: {describe(event)}", markup=False, soft_wrap=True
            )
        if time.monotonic() - self._said > SAY_SECONDS:
            self._said = time.monotonic()
            counts = ", ".join(f"{n:,} of {model}" for model, n in sorted(self.asked.items()))
            self._say(f"predictions: {counts or 'none yet'}")

    def _say(self, text: str) -> None:
        self._console.print(text, markup=False, soft_wrap=True)
