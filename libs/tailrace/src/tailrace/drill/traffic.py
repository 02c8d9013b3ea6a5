"""Traffic for a drill: the flights of some days, before the loss and after the restore."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from event_schemas import PredictionLogged
from local.errors import StackError
from servicekit.bus import Bus
from servicekit.cloudevents import decode
from tailrace.bus import read
from tailrace.drill.checks import Answer, Counted
from tailrace.flights.dataset import WEATHER_LEAD, load
from tailrace.flights.journal import Journal
from tailrace.flights.replay import MODEL, Script, iso
from tailrace.flights.run import Run
from tailrace.traffic.outbox import Rows
from tailrace.traffic.platform import Platform
from tailrace.traffic.waiting import PATIENCE_SECONDS, RunError

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
AGAIN = 500
"""Rows that a client sends a second time, as one does that got no answer."""


class Traffic:
    """What clients do to the stack, and the count of it over both halves of the drill."""

    def __init__(self) -> None:
        self._name = f"drill-{uuid4().hex[:8]}"
        self._script = Script(load(end=END + RUN_OUT), self._name)
        self._asked = 0
        self._sent: Counter[str] = Counter()
        self._labels: dict[str, None] = {}
        self._landed: Rows = []
        self._answered_before: set[str] = set()
        self._journal = Journal(self._name, MODEL)

    async def before(self, addresses: Mapping[str, str], bus: Bus) -> Answer:
        """Play history, a first model, and predictions until the loss.

        Returns:
            The answer to a question that will be asked again.

        Raises:
            StackError: A part of the loop did not answer in time.
        """
        async with self._run(addresses, bus).playing() as run:
            await run.replay.history(FIRST - WEATHER_LEAD, START)
            await run.until(run.stored, "the history to reach the lake")
            await run.first_model(START, "drill")
            await run.served()
            await run.replay.play(START, LOSS)
            answer = await self._question(run.platform, bus)
            await self._settle(run)
            self._answered_before = set(self._journal.predictions.index)
            return answer

    async def first_answer(self, addresses: Mapping[str, str]) -> None:
        """Ask until a prediction is answered."""
        platform = Platform(addresses["predictor"], addresses["ingest"])
        try:
            await platform.predict(self._request())
            self._asked += 1
        finally:
            await platform.close()

    async def after(self, addresses: Mapping[str, str], bus: Bus) -> Answer:
        """Ask the old question, send rows again, and play predictions until all is counted.

        Raises:
            StackError: A part of the loop did not answer in time.
        """
        self._journal = Journal(self._name, MODEL)
        async with self._run(addresses, bus).playing() as run:
            answer = await self._question(run.platform, bus)
            await run.platform.records("flights", self._landed[-AGAIN:])
            await run.replay.play(LOSS, END + RUN_OUT, asked_since=START)
            await self._settle(run)
            with suppress(RunError):  # what is missing shows in the count
                await run.until(
                    lambda: self._joined() >= self._labels_sent(), "the last labels to be joined"
                )
            return answer

    def counted(self, versions: tuple[int, int]) -> Counted:
        """The count at the end; `versions` are the registry's before and after."""
        journal, p = self._journal, self._journal.predictions
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
            labels_sent=self._labels_sent(),
            labels_joined=self._joined(),
            records_sent=dict(self._sent),
            records_stored=dict(journal.lake_rows + journal.quarantined),
            dead=tuple(journal.dead),
            runs=versions,
        )

    def _run(self, addresses: Mapping[str, str], bus: Bus) -> Run:
        return Run(
            self._script,
            bus,
            addresses,
            self._journal,
            speed=SPEED,
            on_label=lambda labels: self._labels.update(
                dict.fromkeys(label["prediction_id"] for label in labels)
            ),
        )

    async def _settle(self, run: Run) -> None:
        """Wait until what was sent has come out of the other end."""
        self._sent += Counter(run.sent)
        self._landed = self._script.landings(FIRST, LOSS)
        self._asked += run.platform.traffic.requested
        with suppress(RunError):  # what is missing shows in the count
            await run.until(
                lambda: (
                    run.stored(self._sent.total())
                    and self._journal.predictions.distinct >= self._asked
                ),
                "the last records to reach the lake",
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
        name = f"{self._name}.{uuid4().hex}"
        return first | {"prediction_id": name, "event_time": iso(LOSS)}

    def _labels_sent(self) -> int:
        """Labels sent of predictions that were asked for before the end of the count."""
        p = self._journal.predictions
        rows = (p.index.get(name) for name in self._labels)
        return sum(p.seconds[row] < END.timestamp() for row in rows if row is not None)

    def _joined(self) -> int:
        return sum(n for day, n in self._journal.labels_joined.items() if day < f"{END:%Y-%m-%d}")


def _logged(bus: Bus, prediction_id: str) -> PredictionLogged:
    """The record of a prediction.

    Raises:
        StackError: There was none in time.
    """
    give_up = time.monotonic() + PATIENCE_SECONDS
    topic = PredictionLogged.topic()
    for message in read(bus, topic, until=lambda: time.monotonic() > give_up):
        if message.key == prediction_id.encode():
            body: Any = decode(message).body
            return body
    raise StackError(f"prediction {prediction_id} was answered and not logged")
