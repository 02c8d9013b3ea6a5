"""Traffic for a drill: the flights of some days, before the loss and after the restore."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from event_schemas import PredictionLogged, RetrainRequested
from local.stack.errors import StackError
from servicekit.bus import Bus
from servicekit.cloudevents import decode, encode
from servicekit.event import Event
from tailrace.demo.client import Platform
from tailrace.demo.flights import WEATHER_LEAD, load
from tailrace.demo.journal import Journal, Observer
from tailrace.demo.outbox import Rows
from tailrace.demo.replay import MODEL, Replay, Script
from tailrace.drill.checks import Answer, Counted

FIRST = datetime(2013, 1, 1, tzinfo=UTC)
START = datetime(2013, 1, 15, tzinfo=UTC)
"""Predictions begin here; the first model learns from the two weeks before."""
LOSS = START + timedelta(days=3)
"""When the stack is lost. Windows are open then, and labels on their way."""
END = START + timedelta(days=4)
"""Labels of the predictions before it are counted."""
RUN_OUT = timedelta(days=3)
"""The replay goes on for so long after the end, so that the last windows close."""
SPEED = 2.0
"""Days of event time a second, at most."""
WEATHER_LAG = timedelta(hours=3)
"""Event time that the feature store may be behind before the replay waits for it."""
PATIENCE_SECONDS = 120.0
AGAIN = 500
"""Rows that a client sends a second time, as one does that got no answer."""


@dataclass(frozen=True)
class Doors:
    """Where the platform answers."""

    predictor: str
    ingest: str


class Traffic:
    """What clients do to the stack, and the count of it over both halves of the drill."""

    def __init__(self) -> None:
        self._run = f"drill-{uuid4().hex[:8]}"
        self._script = Script(load(end=END + RUN_OUT), self._run)
        self._asked = 0
        self._sent: Counter[str] = Counter()
        self._labels: dict[str, None] = {}
        self._landed: Rows = []
        self._answered_before: set[str] = set()

    async def before(self, doors: Doors, bus: Bus) -> Answer:
        """History, a first model, and predictions until the loss.

        Returns:
            The answer to a question that will be asked again.

        Raises:
            StackError: A part of the loop did not answer in time.
        """
        async with self._playing(doors, bus) as (platform, replay, journal):
            await replay.history(FIRST - WEATHER_LEAD, START)
            sent = replay.flights.sent + replay.weather.sent
            await _until(lambda: _stored(journal) >= sent, "the history to reach the lake")
            await _first_model(platform, bus, journal)
            await replay.play(START, LOSS)
            answer = await self._question(platform, bus)
            await self._settled(platform, replay, journal)
            self._answered_before = set(journal.predictions.index)
            return answer

    async def first_answer(self, doors: Doors) -> None:
        """Ask until a prediction is answered."""
        platform = Platform(doors.predictor, doors.ingest)
        try:
            await platform.predict(self._request())
            self._asked += 1
        finally:
            await platform.close()

    async def after(self, doors: Doors, bus: Bus) -> Answer:
        """The old question, what a client sends again, and predictions until all is counted.

        Raises:
            StackError: A part of the loop did not answer in time.
        """
        async with self._playing(doors, bus) as (platform, replay, journal):
            answer = await self._question(platform, bus)
            await platform.records("flights", self._landed[-AGAIN:])
            await replay.play(LOSS, END + RUN_OUT, asked_since=START)
            await self._settled(platform, replay, journal)
            await _until(
                lambda: self._joined(journal) >= len(self._due(journal)),
                "the last labels to be joined",
                give_up=False,
            )
            self._journal = journal
            return answer

    def counted(self, runs: tuple[int, int]) -> Counted:
        """The count at the end; `runs` are the registry's versions before and after."""
        journal, p = self._journal, self._journal.predictions
        stored = journal.lake_rows + journal.quarantined
        return Counted(
            asked=self._asked,
            logged=p.read,
            distinct=p.distinct,
            failed=p.failed,
            versions=frozenset(
                version
                for name, version in zip(p.index, p.version, strict=True)
                if name not in self._answered_before
            ),
            labels_sent=len(self._due(journal)),
            labels_joined=self._joined(journal),
            records_sent=dict(self._sent),
            records_stored=dict(stored),
            dead=tuple(journal.dead),
            runs=runs,
        )

    @asynccontextmanager
    async def _playing(
        self, doors: Doors, bus: Bus
    ) -> AsyncIterator[tuple[Platform, Replay, Journal]]:
        platform = Platform(doors.predictor, doors.ingest)
        journal = Journal(self._run, MODEL)
        with Observer(bus, journal) as observer:

            async def room(hour: datetime) -> None:
                due = self._script.reports_until(hour - WEATHER_LAG)
                await _until(
                    lambda: journal.lake_rows["weather"] + journal.quarantined["weather"] >= due,
                    "ingest to follow",
                    seconds=0.01,
                )

            replay = Replay(
                self._script, platform, speed=SPEED, room=room, on_label=self._note_labels
            )
            try:
                yield platform, replay, journal
                if observer.failure:
                    raise StackError(f"reading the topics failed: {observer.failure}")
            finally:
                await replay.close()
                await platform.close()

    async def _settled(self, platform: Platform, replay: Replay, journal: Journal) -> None:
        """Wait until what was sent has come out of the other end."""
        self._sent += Counter(flights=replay.flights.sent, weather=replay.weather.sent)
        self._landed = self._script.landings(FIRST, LOSS)
        self._asked += platform.traffic.requested
        await _until(
            lambda: (
                _stored(journal) >= self._sent.total()
                and journal.predictions.distinct >= self._asked
            ),
            "the last records to reach the lake",
            give_up=False,
        )

    async def _question(self, platform: Platform, bus: Bus) -> Answer:
        """Ask about one flight, and read in the log what it was answered from."""
        request = self._request()
        await platform.predict(request)
        logged = await asyncio.to_thread(_logged, bus, request["prediction_id"])
        if logged.score is None:
            raise StackError(f"the question was answered with an error: {logged.error}")
        return Answer(logged.rollout_id, logged.version, logged.score, dict(logged.features))

    def _request(self) -> dict[str, Any]:
        first = self._script.requests(LOSS - timedelta(days=1), LOSS)[0]
        at = LOSS.isoformat().replace("+00:00", "Z")
        return first | {"prediction_id": f"{self._run}.{uuid4().hex}", "event_time": at}

    def _note_labels(self, labels: Rows) -> None:
        self._labels.update(dict.fromkeys(label["prediction_id"] for label in labels))

    def _due(self, journal: Journal) -> list[str]:
        """Labels sent of predictions that were asked for before the end of the count."""
        p = journal.predictions
        rows = ((name, p.index.get(name)) for name in self._labels)
        end = END.timestamp()
        return [name for name, row in rows if row is not None and p.seconds[row] < end]

    def _joined(self, journal: Journal) -> int:
        return sum(n for day, n in journal.labels_joined.items() if day < f"{END:%Y-%m-%d}")


async def _first_model(platform: Platform, bus: Bus, journal: Journal) -> None:
    request = RetrainRequested(model=MODEL, cause="manual", requested_by="drill", event_time=START)
    sender = bus.sender()
    try:
        event = Event(body=request, source="/tailrace/drill", time=datetime.now(UTC))
        await asyncio.to_thread(sender.send(encode(event)).result, 30)
    finally:
        await asyncio.to_thread(sender.close, 5.0)

    async def served() -> bool:
        return MODEL in str(await platform.models())

    await _until(
        lambda: bool(journal.latest_steps()), "a first version to be rolled out", also=served
    )


def _logged(bus: Bus, prediction_id: str) -> PredictionLogged:
    """The record of a prediction."""
    view = bus.view(PredictionLogged.topic())
    until = time.monotonic() + PATIENCE_SECONDS
    try:
        while time.monotonic() < until:
            for message in view.poll(0.2):
                if message.key == prediction_id.encode():
                    body: Any = decode(message).body
                    return body
    finally:
        view.close()
    raise StackError(f"prediction {prediction_id} was answered and not logged")


def _stored(journal: Journal) -> int:
    return journal.lake_rows.total() + journal.quarantined.total()


async def _until(
    happened: Callable[[], bool],
    what: str,
    *,
    also: Callable[[], Awaitable[bool]] | None = None,
    seconds: float = 0.1,
    give_up: bool = True,
) -> None:
    """Wait for something, as long as patience lasts; then it is an error, or counted as it is.

    Raises:
        StackError: It did not happen.
    """
    until = time.monotonic() + PATIENCE_SECONDS
    while not (happened() and (also is None or await also())):
        if time.monotonic() > until:
            if give_up:
                raise StackError(f"waited {PATIENCE_SECONDS:.0f} s in vain for {what}")
            return
        await asyncio.sleep(seconds)
