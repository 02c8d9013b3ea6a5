"""What clients do in one run: history, questions, late and corrected labels, requests, commands."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from tests.chaos.client import Client
from tests.chaos.evidence import Label, Sent
from tests.chaos.observe import TopicReader
from tests.chaos.world import DAY, REPORTS, START, Trip, World

from event_schemas import (
    EventBody,
    LabelArrived,
    RecordReceived,
    RetrainRequested,
    RolloutCommand,
    ScoreRequested,
)
from servicekit.bus import Record, Sender
from servicekit.cloudevents import encode
from servicekit.errors import ServicekitError
from servicekit.event import Event

SOURCE = "/chaos"
CHALLENGER_DAY = 2
COMMAND_DAY = 4
LATE_ASK = 0.03
"""Share of the trips that are asked about two days later: late events."""
LATE_LABEL = 0.1
EARLY_LABEL = 0.03
"""Share of the labels that come before their prediction."""
CORRECTED = 0.05
REPEATED = 0.05
OVER_KAFKA = 0.2
"""Share of the trips that are asked about by `score.requested`."""
BY_HAND = 0.1
"""Share of the records and labels that are published to Kafka past ingest, with a skewed clock."""


class Workload:
    """The clients of one run."""

    def __init__(
        self, world: World, client: Client, sender: Sender, reader: TopicReader, sent: Sent
    ) -> None:
        self._world = world
        self._client = client
        self._sender = sender
        self._reader = reader
        self._sent = sent
        self._dice = random.Random(f"workload {world.seed}")
        self._held: list[tuple[int, Callable[[], Awaitable[None]]]] = []
        """What is to be sent on a later day."""
        self.day = 0
        """The next day."""

    async def begin(self) -> None:
        """Hand over the history, and ask for a first version.

        Raises:
            TimeoutError: none answers in time.
        """
        reports = [r for day in range(-3, 1) for r in self._world.reports(day)]
        await self._client.records(REPORTS, "report", reports)
        history = [self._world.record(trip) for trip in self._world.history()]
        for i in range(0, len(history), 60):
            await self._client.records(self._world.dataset, "trip", history[i : i + 60])

    async def ask_for_training(self, day: int) -> None:
        """Ask for a retraining by hand, with the data up to a day."""
        body = RetrainRequested(
            model=self._world.model,
            cause="manual",
            requested_by="chaos",
            event_time=START + day * DAY,
        )
        event = Event(body=body, source=SOURCE, time=datetime.now(UTC))
        if await self.publish(event):
            self._sent.requests.add(event.id)

    async def one_day(self) -> None:
        """Ask about each trip of a day, and tell what became of those of the day before."""
        number, self.day = self.day, self.day + 1
        dice, world = self._dice, self._world
        if number == CHALLENGER_DAY:
            await self.ask_for_training(number)
        if number == COMMAND_DAY:
            await self._poison()
            await self._broken_clock()
        await self._command()
        trips = world.day(number)
        work: list[Awaitable[None]] = [
            self._client.records(REPORTS, "report", world.reports(number))
        ]
        for trip in trips:
            over_kafka = dice.random() < OVER_KAFKA
            ask = self._requesting(trip) if over_kafka else self._asking(trip)
            if dice.random() < LATE_ASK:
                self._held.append((number + 2, ask))
            else:
                work.append(ask())
                if dice.random() < REPEATED:
                    work.append(ask())
        records, labels = list(trips), [(trip, self._truth(trip)) for trip in trips]
        early = [pair for pair in labels if dice.random() < EARLY_LABEL]
        late = [pair for pair in labels if pair not in early and dice.random() < LATE_LABEL]
        usual = [pair for pair in labels if pair not in early and pair not in late]
        if early:
            work.append(self._tell(early))
        self._held.append((number + 1, lambda: self._settle(usual, records)))
        self._held.append((number + dice.choice((2, 3)), lambda: self._tell(late)))
        corrected = [
            (trip, Label(1 - label.value, label.observed_at - timedelta(hours=1)))
            for trip, label in labels
            if dice.random() < CORRECTED
        ]
        # The wrong ones were observed first; which of the two arrives first is open.
        self._held.append((number + dice.choice((1, 3)), lambda: self._tell(corrected)))
        due = [act for day, act in self._held if day <= number]
        self._held = [(day, act) for day, act in self._held if day > number]
        work += [act() for act in due]
        dice.shuffle(work)
        await asyncio.gather(*work)

    async def flush(self) -> None:
        """Send all that was held back."""
        held, self._held = self._held, []
        await asyncio.gather(*(act() for _, act in held))

    async def tick(self) -> None:
        """Move event time on, so that the days so far are measured again; asks three questions."""
        self.day += 2
        trips = [
            Trip(
                f"{self._world.seed}-tick-{self.day}-{i}",
                START + self.day * DAY + timedelta(hours=2 + i),
                0.5,
                f"{self._world.seed}-0",
                0,
            )
            for i in range(3)
        ]
        self.day += 1
        for trip in trips:
            await self._asking(trip)()

    async def publish(self, event: Event[EventBody]) -> bool:
        """Publish an event from outside until the brokers have it; whether they do."""
        return await self._send(encode(event))

    async def _send(self, record: Record) -> bool:
        for _ in range(20):
            try:
                await asyncio.wrap_future(self._sender.send(record))
                return True
            except ServicekitError:
                await asyncio.sleep(1.0)
        return False

    def _asking(self, trip: Trip) -> Callable[[], Awaitable[None]]:
        request = self._world.request(trip)
        return lambda: self._client.ask(request)

    def _requesting(self, trip: Trip) -> Callable[[], Awaitable[None]]:
        body = self._world.score_requested(trip)
        event = Event(body=body, source=SOURCE, time=datetime.now(UTC))

        async def request() -> None:
            self._sent.asked[trip.id] = trip.asked_at
            if await self.publish(event):
                self._sent.requested.add(trip.id)

        return request

    def _truth(self, trip: Trip) -> Label:
        return Label(trip.late, trip.asked_at + timedelta(hours=20))

    async def _settle(self, labels: list[tuple[Trip, Label]], records: list[Trip]) -> None:
        """Labels and records of a day, in parts, some of them twice, some past ingest."""
        dice = self._dice
        dice.shuffle(labels)
        dice.shuffle(records)
        work: list[Awaitable[None]] = []
        for i in range(0, len(labels), 20):
            part = labels[i : i + 20]
            work.append(self._tell(part))
            if dice.random() < REPEATED * 4:
                work.append(self._tell(part))
        by_hand = [trip for trip in records if dice.random() < BY_HAND]
        usual = [trip for trip in records if trip not in by_hand]
        for i in range(0, len(usual), 20):
            rows = [self._world.record(trip) for trip in usual[i : i + 20]]
            work.append(self._client.records(self._world.dataset, "trip", rows))
            if dice.random() < REPEATED * 4:
                work.append(self._client.records(self._world.dataset, "trip", rows))
        work.append(self._publish_records(by_hand))
        work.append(self._publish_labels([pair for pair in labels if dice.random() < BY_HAND]))
        dice.shuffle(work)
        await asyncio.gather(*work)

    async def _tell(self, labels: list[tuple[Trip, Label]]) -> None:
        if labels:
            named = [(trip.id, label) for trip, label in labels]
            await self._client.labels(self._world.model, named)

    async def _publish_records(self, trips: list[Trip]) -> None:
        """Past ingest's door: each twice under one id, by somebody whose clock is wrong."""
        dataset = self._world.dataset
        for trip in trips:
            row = self._world.record(trip)
            body = RecordReceived(
                dataset=dataset,
                entity=trip.id,
                event_time=trip.asked_at,
                record=row["record"],
            )
            event = Event(body=body, source=SOURCE, time=self._wrong_clock(), id=f"r-{trip.id}")
            self._sent.records.setdefault(dataset, set()).add(trip.id)
            if await self.publish(event) and await self.publish(event):
                self._sent.acknowledged_records.setdefault(dataset, set()).add(trip.id)

    async def _publish_labels(self, labels: list[tuple[Trip, Label]]) -> None:
        """A third time, under an id of its own: it says the same, so it changes nothing."""
        for trip, label in labels:
            body = LabelArrived(
                prediction_id=trip.id,
                model=self._world.model,
                label=label.value,
                observed_at=label.observed_at,
            )
            self._sent.labels.setdefault(trip.id, set()).add(label)
            event = Event(body=body, source=SOURCE, time=self._wrong_clock(), id=f"l-{trip.id}")
            if await self.publish(event):
                self._sent.acknowledged_labels.setdefault(trip.id, set()).add(label)

    def _wrong_clock(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self._dice.uniform(-86_400, 86_400))

    async def _poison(self) -> None:
        for topic in (RecordReceived.topic(), LabelArrived.topic(), ScoreRequested.topic()):
            value = f"\xff poison {self._world.seed} {topic} {uuid4()}".encode("latin-1")
            headers = (("ce_id", b"p"), ("ce_type", topic.encode()), ("ce_source", b"/chaos"))
            if await self._send(Record(topic, b"poison", value, headers)):
                self._sent.poison.add(value)

    async def _broken_clock(self) -> None:
        """One caller believes that it is spring; event time must not follow it."""
        spring = START + 80 * DAY
        trip = Trip(f"{self._world.seed}-clock", spring, 0.5, f"{self._world.seed}-0", 0)
        await self._asking(trip)()

    async def _command(self) -> None:
        """Now and then a person takes a hand in a rollout that runs."""
        step = self._reader.last_step
        if step is None or step.challenger is None or self.day < COMMAND_DAY:
            return
        paused = step.phase == "paused"
        if not paused and self._dice.random() > 0.15:
            return
        orders = ("resume",) if paused else ("pause", "promote", "abort", "rollback", "pause")
        who = f"anna-{self._world.seed}-{len(self._sent.commands)}"
        body = RolloutCommand.model_validate(
            {
                "model": self._world.model,
                "command": self._dice.choice(orders),
                "commanded_by": who,
                "reason": "chaos",
            }
        )
        if await self.publish(Event(body=body, source=SOURCE, time=datetime.now(UTC))):
            self._sent.commands.add(who)
