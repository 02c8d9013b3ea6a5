"""One run: a world, its clients, the faults that strike meanwhile, and the verdict."""

import asyncio
import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from tests.chaos import observe
from tests.chaos.client import Client
from tests.chaos.evidence import Found, Sent
from tests.chaos.machine import Machine
from tests.chaos.oracle import Violation, judge
from tests.chaos.probe import Probe
from tests.chaos.schedule import Fault, Kind, Offer, plan
from tests.chaos.strike import Disk, Striker
from tests.chaos.workload import Workload
from tests.chaos.world import DAY, REPORTS, START, World

from servicekit.kafka.bus import KafkaBus

FEWEST_DAYS = 8
CHANGES_ON = 5
MOST_DAYS = 70
DAY_SECONDS = 1.5
"""A day takes at least so long, so that what it brings about can happen while it lasts."""
READY_SECONDS = 300.0
"""To catch a hang, not to judge speed: a machine may have other things to do."""
SETTLE_SECONDS = 400.0
QUIET_SECONDS = 2.0


@dataclass
class Result:
    """What became of a run."""

    seed: int
    faults: list[Fault]
    seconds: float = 0.0
    predictions: int = 0
    """Answered over HTTP, or asked for over Kafka."""
    labels: int = 0
    records: int = 0
    steps: int = 0
    trainings: int = 0
    refused: int = 0
    """Answers 503."""
    refused_by: dict[str, int] = field(default_factory=dict)
    """The same, by the door that gave them."""
    restarts: int = 0
    slowest: float = 0.0
    """Longest time to an answer, in seconds, retries included."""
    median: float = 0.0
    violations: list[Violation] = field(default_factory=list)
    recoveries: list[tuple[str, float]] = field(default_factory=list)
    """Each broker that was killed, and the longest time in seconds that a partition took no record
    from then on."""
    failure: str | None = None
    """What kept the run from its end, or from being judged."""

    @property
    def green(self) -> bool:
        """Whether every promise was kept."""
        return not self.violations and self.failure is None


class Turn:
    """A run on a machine that is up."""

    def __init__(
        self,
        machine: Machine,
        disks: dict[str, Disk],
        clock: Path | None,
        seed: int,
        log: Callable[[str], None],
        *,
        probed: bool = False,
    ) -> None:
        self._machine = machine
        self._log = log
        self._striker = Striker(machine, disks, clock, log)
        self._sent = Sent()
        self._world = World(seed, CHANGES_ON)
        self._seed = seed
        self._offer_disks = tuple(disks)
        self._probe = Probe(machine.bootstrap, len(machine.brokers)) if probed else None

    def faults(self, kinds: frozenset[Kind], count: int, seconds: float) -> list[Fault]:
        """What will happen."""
        apache = self._machine.settings.broker == "apache"
        brokers = self._machine.brokers if apache else ()
        if not apache:
            kinds = kinds - {Kind.BROKER_PAUSE}
        offer = Offer(brokers, self._offer_disks, tuple(self._machine.links), kinds)
        return plan(self._seed, offer, faults=count, seconds=seconds)

    async def play(self, faults: list[Fault]) -> Result:
        """Play it, strike, mend, let it settle, and judge."""
        machine, world, sent = self._machine, self._world, self._sent
        begun = time.monotonic()
        result = Result(self._seed, faults)
        exits = {name: len(each.exits) for name, each in machine.running.items()}
        client = Client(self._predictors, machine.url("ingest"), sent)
        bus = KafkaBus(machine.bootstrap)
        sender = bus.sender()
        try:
            with (
                self._probe or nullcontext(),
                observe.TopicReader(machine.bootstrap, world.model, world.dataset) as reader,
            ):
                work = Workload(world, client, sender, reader, sent)
                # What is to be measured under load begins when there is some.
                loaded = asyncio.Event()
                if self._probe is None:
                    loaded.set()
                striking = asyncio.create_task(self._strike_once(loaded, faults))
                try:
                    await self._load(work, client, reader, striking, loaded)
                    await striking
                    await self._striker.mend()
                    await asyncio.to_thread(self._wait_ready)
                    result.violations = await self._settle(work, reader)
                finally:
                    striking.cancel()
                    await asyncio.gather(striking, return_exceptions=True)
                found = reader.found()
        except Exception as error:
            # A run that cannot be judged is a red one, whatever was in the way; the next is played.
            result.failure = f"{type(error).__name__}: {error}"
            found = Found()
        finally:
            sender.close(5.0)
            await client.close()
            await self._striker.mend()
        result.seconds = time.monotonic() - begun
        result.predictions = len(sent.answered | sent.requested)
        result.labels = sum(map(len, sent.acknowledged_labels.values()))
        result.records = sum(map(len, sent.acknowledged_records.values()))
        result.steps = len(found.steps)
        result.trainings = len(found.trained)
        result.refused_by = {door: n for (door, status), n in sent.answers.items() if status == 503}
        result.refused = sum(result.refused_by.values())
        result.restarts = sum(
            len(each.exits) - exits.get(name, 0) for name, each in machine.running.items()
        )
        if self._probe is not None:
            result.recoveries = [
                (name, self._probe.silence_after(at)) for name, at in self._striker.broker_kills
            ]
        times = [seconds for _, seconds in client.latencies]
        if times:
            result.slowest, result.median = max(times), statistics.median(times)
        return result

    async def _strike_once(self, loaded: asyncio.Event, faults: list[Fault]) -> None:
        await loaded.wait()
        await self._striker.strike(faults)

    async def _load(
        self,
        work: Workload,
        client: Client,
        reader: observe.TopicReader,
        striking: asyncio.Task[None],
        loaded: asyncio.Event,
    ) -> None:
        await work.begin()
        await work.ask_for_training(0)
        await self._until(lambda: reader.last_step is not None, "the first version")
        await client.until_served(self._world.model, READY_SECONDS)
        loaded.set()
        await self._days(work, reader, striking)

    async def _days(
        self, work: Workload, reader: observe.TopicReader, striking: asyncio.Task[None]
    ) -> None:
        """Days until the faults are over, every rollout is at its end and nothing is trained."""
        least = work.day + 1 if work.day else FEWEST_DAYS
        while True:
            begun = time.monotonic()
            await work.one_day()
            await asyncio.sleep(max(0.0, DAY_SECONDS - (time.monotonic() - begun)))
            step = reader.last_step
            rests = step.challenger is None and not reader.training and not reader.unrolled
            if work.day >= least and rests and striking.done():
                break
            if work.day >= MOST_DAYS and striking.done():
                break
        await work.flush()

    async def _settle(self, work: Workload, reader: observe.TopicReader) -> list[Violation]:
        """Let event time pass until all is measured; the verdict, twice the same."""
        until = time.monotonic() + SETTLE_SECONDS
        last = START + work.day * DAY
        clean = False
        violations: list[Violation] = []
        while time.monotonic() < until:
            await self._quiet(reader)
            step = reader.last_step
            if (step.challenger or reader.training or reader.unrolled) and work.day < MOST_DAYS:
                done = asyncio.create_task(asyncio.sleep(0))
                await self._days(work, reader, done)
                last = START + work.day * DAY
                continue
            await work.tick()
            await self._quiet(reader)
            found = await asyncio.to_thread(self._collect, reader)
            violations = judge(self._sent, found, last)
            if violations:
                clean = False
                await asyncio.sleep(1.0)
            elif clean:
                return []
            else:
                clean = True
                await asyncio.sleep(QUIET_SECONDS)
        return violations

    def _collect(self, reader: observe.TopicReader) -> Found:
        machine, world = self._machine, self._world
        found = reader.found()
        found.lake = {
            world.dataset: observe.lake_rows(self.lake, world.dataset, "trip"),
            REPORTS: observe.lake_rows(self.lake, REPORTS, "report", f"{self._seed}-"),
        }
        predictors = [n for n in machine.running if n.split("~")[0] == "predictor"]
        found.routes = {
            name: observe.route(machine.url(name), world.model)
            for name in predictors
            if machine.running[name].alive
        }
        found.runs = observe.runs(machine.url("mlflow"), world.model)
        return found

    @property
    def lake(self):
        """Folder of the lake."""
        return self._machine.layout.lake

    def _predictors(self) -> Sequence[str]:
        running = self._machine.running
        there = [n for n, each in running.items() if n.split("~")[0] == "predictor" and each.alive]
        return [self._machine.url(name) for name in there] or [self._machine.url("predictor")]

    def _wait_ready(self) -> None:
        machine = self._machine
        names = [name for name, each in machine.running.items() if each.wanted]
        machine.wait_ready(names, READY_SECONDS)

    async def _quiet(self, reader: observe.TopicReader) -> None:
        """Wait until no event has come for a while, counted from now at the earliest."""
        begun = time.monotonic()
        rest = QUIET_SECONDS / 2
        await self._until(
            lambda: min(reader.quiet_seconds, time.monotonic() - begun) > rest, "quiet"
        )

    async def _until(self, done: Callable[[], bool], what: str) -> None:
        give_up = time.monotonic() + READY_SECONDS
        while not done():
            if time.monotonic() > give_up:
                raise TimeoutError(f"waited {READY_SECONDS:g} s for {what}")
            await asyncio.sleep(0.1)


def totals(results: Sequence[Result]) -> Counter[str]:
    """Broken promises of all runs, by their kind."""
    return Counter(str(v.promise) for result in results for v in result.violations)
