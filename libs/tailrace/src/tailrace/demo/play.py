"""The demo from beginning to end, on a platform that is up."""

import asyncio
import gc
import math
import time
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from rich.console import Console

from event_schemas import ModelTrained
from servicekit.bus import Bus
from tailrace.demo.live import LiveView
from tailrace.demo.options import FIRST, RUN_OUT, DemoOptions
from tailrace.demo.report import Totals
from tailrace.demo.sabotage import sabotage
from tailrace.demo.static import StaticModel
from tailrace.flights.dataset import Flights
from tailrace.flights.journal import Journal
from tailrace.flights.replay import MODEL, Script
from tailrace.flights.run import Run
from tailrace.traffic.outbox import Rows
from tailrace.traffic.waiting import RunError

LAG_DAYS = 4.0
"""Days of event time that the windows may be behind before the replay waits for them; the end of a
day and its labels are two and a half."""


class Play:
    """One demo: history, first model, replay with a sabotage half-way, and the count at the end.

    Args:
        options: What a person chose.
        flights: What happens.
        addresses: Where the parts of the platform answer, by name.
        bus: Its broker.
        console: Shows how far it is.
        begun: When the command began, on the monotonic clock.
    """

    def __init__(
        self,
        options: DemoOptions,
        flights: Flights,
        addresses: Mapping[str, str],
        bus: Bus,
        console: Console,
        begun: float,
    ) -> None:
        self._options = options
        self._addresses = addresses
        self._bus = bus
        self._console = console
        self._begun = begun
        name = f"demo-{uuid4().hex[:8]}"
        self.journal = Journal(name, MODEL)
        self._script = Script(flights, name, options.seed)
        self._sabotaged: list[str] = []
        self._note = ""

    async def run(self) -> Totals:
        """Play it all.

        Raises:
            RunError: A part of the loop did not answer in time.
        """
        options = self._options
        self._run = Run(
            self._script,
            self._bus,
            self._addresses,
            self.journal,
            speed=options.speed,
            on_label=self._note_labels,
            wait_for=self._wait_for_followers,
        )
        async with self._run.playing() as run:
            await self._history()
            first = await self._first_model()
            setup = time.monotonic() - self._begun
            gc.collect()
            gc.freeze()  # the year of flights: nothing to be walked again and again
            started = time.monotonic()
            end = options.end + RUN_OUT
            with LiveView(self._console, options, self.journal, run.platform.traffic) as view:
                playing = asyncio.create_task(run.replay.play(options.start, end))
                striking = asyncio.create_task(self._strike(first))
                try:
                    while not playing.done():
                        await asyncio.wait({playing}, timeout=0.5)
                        run.check()
                        view.show(run.replay.now or options.start, self._note)
                    await playing
                    seconds = time.monotonic() - started
                    if not striking.done():
                        raise RunError(
                            "the saboteur found no moment without a rollout in the second half:"
                            " give a longer period"
                        )
                    await self._settle(view, end)
                    await striking
                finally:
                    for task in (playing, striking):
                        task.cancel()
                    await asyncio.gather(playing, striking, return_exceptions=True)
            self.journal.score_pending()
            return Totals(
                traffic=run.platform.traffic,
                records_sent=run.sent,
                seconds=seconds,
                setup_seconds=setup,
                replayed_until=end,
                sabotaged=tuple(self._sabotaged),
            )

    async def _history(self) -> None:
        run, start, begun = self._run, self._options.start, time.monotonic()
        await run.replay.history(FIRST - timedelta(days=1), start)
        sent = run.sent
        await run.until(
            run.stored,
            f"{sum(sent.values()):,} records of history to reach the lake (see the log of ingest)",
        )
        self._say(
            f"history until {start:%d %b}: {sent['flights']:,} flights and"
            f" {sent['weather']:,} weather reports are in the lake after"
            f" {time.monotonic() - begun:.1f} s"
        )

    async def _first_model(self) -> StaticModel:
        begun = time.monotonic()
        await self._run.first_model(self._options.start, "demo")
        version = self.journal.latest_steps()[-1].champion
        first = await asyncio.to_thread(StaticModel, version, self._addresses["mlflow"])
        self.journal.use(first)
        await self._run.served()
        trained = [e.body for e in self.journal.turns if isinstance(e.body, ModelTrained)]
        metrics = ", ".join(f"{m.name} {m.value:.4f}" for m in trained[-1].metrics)
        self._say(
            f"version {version.version} trained, gated and in service after"
            f" {time.monotonic() - begun:.1f} s ({metrics})"
        )
        return first

    async def _strike(self, first: StaticModel) -> None:
        """Half-way, at a moment without a rollout, approve the inverted first version."""
        options, replay = self._options, self._run.replay
        if not options.sabotage:
            return
        await self._run.until(
            lambda: (replay.now or options.start) >= options.half_way and not self._rolling(),
            "a moment without a rollout",
            patience=math.inf,
        )
        at = replay.now or options.half_way
        version = await asyncio.to_thread(
            sabotage, first.version, first.content, self._addresses["mlflow"], self._bus, at
        )
        self._sabotaged.append(version)

    def _rolling(self) -> bool:
        steps = self.journal.latest_steps()
        return bool(steps) and steps[-1].challenger is not None

    async def _wait_for_followers(self, hour: datetime) -> None:
        """Wait until the windows and the feature store have followed closely enough."""
        self._note = ""
        while True:
            measured = self.journal.measured_until or self._options.start
            behind = (hour - measured) / timedelta(days=1)
            missing = self._run.missing_reports(hour)
            if behind <= LAG_DAYS and missing <= 0:
                return
            self._note = (
                f"waiting for the drift-monitor, {behind:.1f} days behind"
                if behind > LAG_DAYS
                else f"waiting for ingest, {missing} reports of the weather behind"
            )
            self._run.check()
            await asyncio.sleep(0.01)

    async def _settle(self, view: LiveView, end: datetime) -> None:
        """Wait until everything that was asked and sent has come through the loop."""
        run, predictions = self._run, self.journal.predictions

        def settled() -> bool:
            view.show(end, "counting: waiting for the last labels and records")
            joined = self.journal.labels_joined
            return (
                predictions.distinct >= run.platform.traffic.answered
                and run.stored()
                and all(joined[day] >= sent for day, sent in self._labels_by_day().items())
            )

        try:
            await run.until(settled, "the last labels and records to arrive", patience=60)
        except RunError as error:
            self._say(f"[red]{error}[/]")

    def _labels_by_day(self) -> Counter[str]:
        """Labels sent by the day of their prediction, within the period of the report."""
        p = self.journal.predictions
        start, end = self._options.start.timestamp(), self._options.end.timestamp()
        rows = (p.index.get(name) for name in list(p.truth))
        times = (p.seconds[row] for row in rows if row is not None)
        return Counter(
            f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}" for at in times if start <= at < end
        )

    def _note_labels(self, labels: Rows) -> None:
        for label in labels:
            self.journal.predictions.truth[label["prediction_id"]] = int(label["label"])

    def _say(self, text: str) -> None:
        self._console.print(f"  [green]✓[/] {text}", soft_wrap=True)
