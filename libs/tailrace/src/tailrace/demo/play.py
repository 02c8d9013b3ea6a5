"""The demo from beginning to end, on a platform that is up."""

import asyncio
import gc
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from rich.console import Console

from event_schemas import ModelTrained, RetrainRequested
from event_schemas.model import ModelVersion
from servicekit.bus import Bus, Sender
from servicekit.cloudevents import encode
from servicekit.event import Event
from tailrace.demo.client import Platform
from tailrace.demo.flights import Flights
from tailrace.demo.journal import Journal, Observer
from tailrace.demo.live import LiveView
from tailrace.demo.options import FIRST, RUN_OUT, DemoOptions
from tailrace.demo.outbox import Rows
from tailrace.demo.replay import MODEL, Replay, Script
from tailrace.demo.report import Totals
from tailrace.demo.saboteur import sabotage
from tailrace.demo.static import StaticModel

LAG_DAYS = 4.0
"""Days of event time that the windows may be behind before the replay waits for them; the end of a
day and its labels are two and a half."""
WEATHER_LAG = timedelta(hours=3)
"""Event time that the feature store may be behind before the replay waits for it. A report comes
each hour, and the model takes one as missing that is more than six hours old."""
PATIENCE_SECONDS = 180.0
"""How long the demo waits for one thing to happen before it gives up."""


class DemoError(Exception):
    """Something did not happen in time; the text says what, and where to look."""


@dataclass(frozen=True)
class Doors:
    """Where the platform answers."""

    predictor: str
    ingest: str
    tracking_uri: str


class Play:
    """One demo: history, first model, replay with a saboteur half-way, and the count at the end."""

    def __init__(
        self,
        options: DemoOptions,
        flights: Flights,
        doors: Doors,
        bus: Bus,
        console: Console,
        begun: float,
    ) -> None:
        self._options = options
        self._doors = doors
        self._bus = bus
        self._console = console
        self._begun = begun
        """When the command began, on the monotonic clock."""
        run = f"demo-{uuid4().hex[:8]}"
        self.journal = Journal(run, MODEL)
        self._script = Script(flights, run, options.seed)
        self._sabotaged: list[str] = []
        self._v1: StaticModel | None = None
        self._note = ""

    async def run(self) -> Totals:
        """Play it all.

        Raises:
            DemoError: a part of the loop did not answer in time.
        """
        platform = Platform(self._doors.predictor, self._doors.ingest)
        sender = self._bus.sender()
        try:
            with Observer(self._bus, self.journal) as self._observer:
                return await self._run(platform, sender)
        finally:
            sender.close(5.0)
            await platform.close()

    async def _run(self, platform: Platform, sender: Sender) -> Totals:
        options = self._options
        replay = Replay(
            self._script,
            platform,
            speed=options.speed,
            room=self._room,
            on_label=self._note_labels,
        )
        try:
            await self._history(replay)
            champion = await self._first_model(platform, sender)
            setup = time.monotonic() - self._begun
            gc.collect()
            gc.freeze()  # the year of flights: nothing to be walked again and again
            started = time.monotonic()
            end = options.end + RUN_OUT
            with LiveView(self._console, options, self.journal, platform.traffic) as view:
                playing = asyncio.create_task(replay.play(options.start, end))
                striking = asyncio.create_task(self._strike(replay, champion, sender))
                try:
                    while not playing.done():
                        await asyncio.wait({playing}, timeout=0.5)
                        self._check()
                        view.show(replay.now or options.start, self._note)
                    await playing
                    seconds = time.monotonic() - started
                    if options.sabotage and not striking.done():
                        raise DemoError(
                            "the saboteur found no moment without a rollout in the second half:"
                            " give a longer period"
                        )
                    await self._settle(replay, platform, view, end)
                    if options.sabotage:
                        await striking
                finally:
                    for task in (playing, striking):
                        task.cancel()
                    await asyncio.gather(playing, striking, return_exceptions=True)
            self.journal.score_pending()
            return Totals(
                traffic=platform.traffic,
                records_sent={"flights": replay.flights.sent, "weather": replay.weather.sent},
                seconds=seconds,
                setup_seconds=setup,
                replayed_until=end,
                sabotaged=tuple(self._sabotaged),
            )
        finally:
            await replay.close()

    async def _history(self, replay: Replay) -> None:
        start = self._options.start
        begun = time.monotonic()
        await replay.history(FIRST - timedelta(days=1), start)
        sent = replay.flights.sent + replay.weather.sent
        await self._until(
            lambda: self._in_lake() >= sent,
            f"{sent:,} records of history to reach the lake (see the log of ingest)",
        )
        seconds = time.monotonic() - begun
        self._say(
            f"history until {start:%d %b}: {replay.flights.sent:,} flights and"
            f" {replay.weather.sent:,} weather reports are in the lake after {seconds:.1f} s"
        )

    async def _first_model(self, platform: Platform, sender: Sender) -> ModelVersion:
        begun = time.monotonic()
        request = RetrainRequested(
            model=MODEL,
            cause="manual",
            requested_by="demo",
            event_time=self._options.start,
        )
        event = Event(body=request, source="/tailrace/demo", time=datetime.now(UTC))
        sender.send(encode(event)).result(timeout=30)
        await self._until(
            lambda: bool(self.journal.latest_steps()),
            "the first version to be trained, approved and rolled out (see the log of trainer)",
        )
        champion = self.journal.latest_steps()[-1].champion
        self._v1 = await asyncio.to_thread(StaticModel, champion, self._doors.tracking_uri)
        self.journal.use(self._v1)
        await self._until(
            lambda: True, "the predictor to load the first version", check=self._serves(platform)
        )
        trained = [e.body for e in self.journal.turns if isinstance(e.body, ModelTrained)]
        metrics = ", ".join(f"{m.name} {m.value:.4f}" for m in trained[-1].metrics)
        self._say(
            f"version {champion.version} trained, gated and in service after"
            f" {time.monotonic() - begun:.1f} s ({metrics})"
        )
        return champion

    def _serves(self, platform: Platform) -> Callable[[], "asyncio.Future[bool]"]:
        async def check() -> bool:
            return MODEL in str(await platform.models())

        return lambda: asyncio.ensure_future(check())

    async def _strike(self, replay: Replay, first: ModelVersion, sender: Sender) -> None:
        """Half-way, at a moment without a rollout, approve the inverted first version."""
        if not self._options.sabotage or self._v1 is None:
            return
        await self._until(
            lambda: (
                (replay.now or self._options.start) >= self._options.half_way
                and not self._rolling()
            ),
            "a moment without a rollout",
            patience=math.inf,
        )
        version = await asyncio.to_thread(
            sabotage,
            first,
            self._v1.content,
            self._doors.tracking_uri,
            sender,
            replay.now or self._options.half_way,
        )
        self._sabotaged.append(version)

    def _rolling(self) -> bool:
        steps = self.journal.latest_steps()
        return bool(steps) and steps[-1].challenger is not None

    async def _room(self, hour: datetime) -> None:
        """Wait until the platform has followed closely enough."""
        self._note = ""
        while True:
            measured = self.journal.measured_until or self._options.start
            behind = (hour - measured) / timedelta(days=1)
            stored = self.journal.lake_rows["weather"] + self.journal.quarantined["weather"]
            missing = self._script.reports_until(hour - WEATHER_LAG) - stored
            if behind <= LAG_DAYS and missing <= 0:
                return
            self._note = (
                f"waiting for the drift-monitor, {behind:.1f} days behind"
                if behind > LAG_DAYS
                else f"waiting for ingest, {missing} reports of the weather behind"
            )
            self._check()
            await asyncio.sleep(0.01)

    async def _settle(
        self, replay: Replay, platform: Platform, view: LiveView, end: datetime
    ) -> None:
        """Wait until everything that was asked and told has come through the loop."""
        predictions = self.journal.predictions

        def settled() -> bool:
            view.show(end, "counting: waiting for the last labels and records")
            days = self._days()
            joined = self.journal.labels_joined
            return (
                predictions.distinct >= platform.traffic.answered
                and self._in_lake() >= replay.flights.sent + replay.weather.sent
                and all(joined[day] >= sent for day, sent in days.items())
            )

        try:
            await self._until(settled, "the last labels and records to arrive", patience=60)
        except DemoError as error:
            self._say(f"[red]{error}[/]")

    def _in_lake(self) -> int:
        return self.journal.lake_rows.total() + self.journal.quarantined.total()

    def _days(self) -> dict[str, int]:
        """Labels sent by the day of their prediction, within the period of the report."""
        days: dict[str, int] = {}
        p = self.journal.predictions
        start, end = self._options.start.timestamp(), self._options.end.timestamp()
        for prediction_id in list(p.truth):
            row = p.index.get(prediction_id)
            if row is not None and start <= (seconds := p.seconds[row]) < end:
                day = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")
                days[day] = days.get(day, 0) + 1
        return days

    def _note_labels(self, labels: Rows) -> None:
        for label in labels:
            self.journal.predictions.truth[label["prediction_id"]] = int(label["label"])

    async def _until(
        self,
        happened: Callable[[], bool],
        what: str,
        *,
        check: Callable[[], "asyncio.Future[bool]"] | None = None,
        patience: float = PATIENCE_SECONDS,
    ) -> None:
        give_up = time.monotonic() + patience
        while True:
            self._check()
            if happened() and (check is None or await check()):
                return
            if time.monotonic() > give_up:
                raise DemoError(f"waited {patience:.0f} s in vain for {what}")
            await asyncio.sleep(0.1)

    def _check(self) -> None:
        if self._observer.failure:
            raise DemoError(f"reading the topics failed: {self._observer.failure}")

    def _say(self, text: str) -> None:
        self._console.print(f"  [green]✓[/] {text}", soft_wrap=True)
