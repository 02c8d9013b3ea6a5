"""Requests are answered without HTTP: those of one turn together, and each by the log it has."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType

import pytest
from services.predictor.tests.lab import Json, until

from predictor.domain.admission import Admission
from predictor.domain.batching import Lookup
from predictor.domain.errors import (
    CannotAnswerError,
    DeadlineError,
    ModelFailedError,
    OverloadedError,
    RefusalError,
    UnknownModelError,
)
from predictor.domain.features import Input, Ref, Signature, Stored, Value
from predictor.domain.routing import Arm
from predictor.domain.shares import is_logged
from predictor.serving.answering import Answering
from predictor.serving.cache import PredictionCache
from predictor.serving.prediction import OnDone, Prediction
from predictor.serving.routes.loaded import LoadedRoute, LoadedRoutes, LoadedVersion
from predictor.serving.stored import StoredFeatures
from servicekit.bus import Batch
from servicekit.clock import FakeClock
from servicekit.errors import ServicekitError, UnavailableError

NOW = datetime(2013, 7, 1, 12, tzinfo=UTC)
HOUR = Input("hour", "number")
ORIGIN = Input("origin", "category")
TEMP = Input("temp", "number", stored=True, view="v", field="t", join_key="origin")


@dataclass
class Question:
    """See `Instance`."""

    entity_id: str = "e"
    features: Json = field(default_factory=lambda: {"hour": 0.5})
    event_time: datetime | None = None
    prediction_id: str | None = None


class Double:
    """A model that answers its first input, and keeps the size of each run."""

    def __init__(self) -> None:
        self.runs: list[int] = []

    def answers(self, rows: Sequence[Sequence[Value]]) -> list[float]:
        self.runs.append(len(rows))
        return [row[0] if isinstance(row[0], float) else 0.25 for row in rows]


class Child(Double):
    """A model in a child process, which answers when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Future[list[float | ModelFailedError]]] = []

    def submit(self, rows: Sequence[Sequence[Value]]) -> "Future[list[float | ModelFailedError]]":
        self.runs.append(len(rows))
        self.asked.append(Future())
        return self.asked[-1]


class Log:
    """A journal that takes so many records, and acknowledges when it is told to."""

    def __init__(self) -> None:
        self.stalled = False
        self.room = 1000
        self.batches: list[int] = []
        self.waiting: list[Callable[[ServicekitError | None], None]] = []
        self.hold = False

    def write(self, batch: Batch, on_done: Callable[[int, ServicekitError | None], None]) -> int:
        taken = min(len(batch.records), self.room)
        self.room -= taken
        if taken:
            self.batches.append(taken)
            self.waiting.append(lambda error: on_done(taken, error))
            if not self.hold:
                self.acknowledge()
        return taken

    def acknowledge(self, error: ServicekitError | None = None) -> None:
        for on_done in self.waiting:
            on_done(error)
        self.waiting.clear()


class Store:
    """Stored features, which wait until they may be read."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.reads = 0
        self.away = False

    def warm_up(self) -> None: ...

    def prepare(self, lookups: Mapping[str, Sequence[Ref]]) -> None: ...

    async def read(self, wanted: Mapping[str, Lookup]) -> Stored:
        self.reads += 1
        if self.away:
            raise UnavailableError("refused")
        await self.open.wait()
        return {("origin", "EWR"): {("v", "t"): (0.75, NOW.timestamp())}}

    async def close(self) -> None: ...


class NoScores:
    """A prediction cache without a score."""

    async def get(self, keys: Sequence[bytes]) -> Sequence[bytes | None]:
        return [None] * len(keys)

    async def put(self, entries: Sequence[tuple[bytes, bytes, float]]) -> None: ...

    async def close(self) -> None: ...


class Desk:
    """Answering by itself, with the models `fast`, `child` and `weather` (a stored feature).

    A share of the predictions of `fast` is logged.
    """

    def __init__(self, limit: int = 100, max_batch: int = 100, rate: float = 1.0) -> None:
        self.fast, self.child, self.weather = Double(), Child(), Double()
        self.log, self.store = Log(), Store()
        self.admission = Admission(limit, now=time.monotonic)
        versions = {
            "fast": ([HOUR], self.fast),
            "child": ([HOUR], self.child),
            "weather": ([ORIGIN, TEMP], self.weather),
        }
        routes: dict[str, LoadedRoute] = {}
        for name, (inputs, model) in versions.items():
            share = rate if name == "fast" else 1.0
            version = LoadedVersion(name, "1", "sha", Signature(inputs), model, share)
            routes[name] = LoadedRoute(
                name, "r", 0, "stable", 0.0, "s", Arm("champion", version), requested=frozenset()
            )
        loaded = LoadedRoutes(MappingProxyType(routes))
        self.answering = Answering(
            lambda: loaded,
            StoredFeatures(self.store, timeout=60, pause=0),
            self.log,
            FakeClock(NOW),
            self.admission,
            PredictionCache(NoScores(), timeout=60, pause=0),
            max_batch=max_batch,
        )
        self.ended: list[Prediction] = []

    def submit(
        self,
        model: str = "fast",
        within: float = 60.0,
        *,
        timed: bool = False,
        sampled: bool = True,
        on_done: OnDone | None = None,
    ) -> Prediction:
        """Ask a model; the prediction is in `ended` once it is done."""
        question = Question(features={"origin": "EWR"} if model == "weather" else {"hour": 0.5})
        return self.answering.submit(
            model,
            question,
            arrived=time.perf_counter(),
            within=within,
            traceparent=None,
            on_done=on_done or self.ended.append,
            timed=timed,
            sampled=sampled,
        )

    async def answer_all(self, *models: str) -> list[Prediction | RefusalError]:
        """Ask models together, and wait for all of them."""
        questions: list[Callable[[OnDone], Prediction]] = [
            lambda on_done, model=model: self.submit(model, on_done=on_done) for model in models
        ]
        return await self.answering.answer_all(questions)

    async def turns_until(self, condition: Callable[[], object]) -> None:
        """Wait for turns of the event loop."""
        for _ in range(100):
            if condition():
                return
            await asyncio.sleep(0)
        raise AssertionError("it did not come about")


def test_requests_of_one_turn_share_a_run_and_a_write() -> None:
    async def story() -> None:
        desk = Desk()
        for _ in range(5):
            desk.submit()
        assert desk.ended == [], "the loop goes on first"
        await desk.turns_until(lambda: len(desk.ended) == 5)
        assert (desk.fast.runs, desk.log.batches) == ([5], [5])
        assert {each.answer for each in desk.ended} == {0.5}
        assert desk.admission.under_way == 0

    asyncio.run(story())


def test_a_batch_has_a_largest_size_and_the_rest_is_the_next() -> None:
    async def story() -> None:
        desk = Desk(max_batch=3)
        for _ in range(5):
            desk.submit()
        await desk.turns_until(lambda: len(desk.ended) == 5)
        assert desk.fast.runs == [3, 2]

    asyncio.run(story())


def test_what_comes_while_the_store_is_read_makes_up_the_next_batch() -> None:
    async def story() -> None:
        desk = Desk()
        desk.submit("weather")
        await desk.turns_until(lambda: desk.store.reads == 1)
        desk.submit()
        desk.submit("weather")
        desk.store.open.set()
        await desk.turns_until(lambda: len(desk.ended) == 3)
        assert desk.store.reads == 2
        assert (desk.weather.runs, desk.fast.runs) == ([1, 1], [1])

    asyncio.run(story())


def test_a_child_process_keeps_nobody_else_waiting() -> None:
    async def story() -> None:
        desk = Desk()
        slow, quick = desk.submit("child"), desk.submit()
        await desk.turns_until(lambda: desk.ended == [quick] and desk.child.asked)
        desk.submit()
        await desk.turns_until(lambda: len(desk.ended) == 2)
        desk.child.asked[0].set_result([0.75])
        await desk.turns_until(lambda: slow in desk.ended)
        assert (slow.answer, desk.log.batches) == (0.75, [1, 1, 1])

    asyncio.run(story())


def test_a_request_without_a_time_or_an_id_gets_both() -> None:
    async def story() -> None:
        desk = Desk()
        one, other = desk.submit(), desk.submit()
        assert one.event_time == NOW
        assert one.prediction_id != other.prediction_id

    asyncio.run(story())


def test_a_refusal_after_routing_is_logged_and_returned() -> None:
    async def story() -> None:
        desk = Desk()
        desk.store.away = True
        (found,) = await desk.answer_all("weather")
        assert isinstance(found, Prediction)
        assert isinstance(found.trouble, CannotAnswerError)
        assert found.trouble.code == "feature_unavailable"
        assert desk.log.batches == [1]

    asyncio.run(story())


def test_those_that_are_not_taken_keep_nobody_else_from_an_answer() -> None:
    async def story() -> None:
        desk = Desk()
        refused, answered = await desk.answer_all("other", "fast")
        assert isinstance(refused, UnknownModelError)
        assert isinstance(answered, Prediction)
        assert (answered.answer, answered.trouble) == (0.5, None)

    asyncio.run(story())


def test_a_caller_that_goes_away_is_waited_for_no_more() -> None:
    async def story() -> None:
        desk = Desk()
        desk.log.hold = True
        asked = asyncio.create_task(desk.answer_all("fast", "fast"))
        await desk.turns_until(lambda: desk.log.waiting)
        assert desk.admission.under_way == 2
        asked.cancel()
        await desk.turns_until(asked.done)
        assert desk.admission.under_way == 0
        desk.log.acknowledge()

    asyncio.run(story())


def test_a_timed_request_is_refused_at_its_deadline_and_any_other_when_its_turn_comes() -> None:
    async def story() -> None:
        desk = Desk()
        first = desk.submit("weather")
        await desk.turns_until(lambda: desk.store.reads)
        timed = desk.submit(within=0.0, timed=True)
        late = desk.submit(within=0.0)
        await until(lambda: timed in desk.ended)
        assert late not in desk.ended
        desk.store.open.set()
        await desk.turns_until(lambda: late in desk.ended and first in desk.ended)
        assert isinstance(timed.trouble, DeadlineError)
        assert isinstance(late.trouble, DeadlineError)
        assert desk.fast.runs == []

    asyncio.run(story())


def test_nothing_is_taken_without_room_a_route_or_a_log() -> None:
    async def story() -> None:
        desk = Desk(limit=1)
        with pytest.raises(UnknownModelError):
            desk.submit("other")
        desk.log.stalled = True
        with pytest.raises(CannotAnswerError, match="cannot be logged"):
            desk.submit()
        desk.log.stalled = False
        desk.submit()
        with pytest.raises(OverloadedError):
            desk.submit()
        await desk.turns_until(lambda: len(desk.ended) == 1)
        assert desk.admission.under_way == 0

    asyncio.run(story())


def test_a_bug_in_a_model_ends_its_batch_alone() -> None:
    async def story() -> None:
        desk = Desk()
        broken = ZeroDivisionError()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(desk.fast, "answers", lambda rows: (_ for _ in ()).throw(broken))
            failed = desk.submit()
            await desk.turns_until(lambda: desk.ended == [failed])
        assert failed.trouble is broken
        assert desk.log.batches == []
        desk.submit()
        await desk.turns_until(lambda: len(desk.ended) == 2)
        assert desk.ended[1].trouble is None

    asyncio.run(story())


def test_the_policy_of_its_version_says_whether_a_prediction_is_logged() -> None:
    async def story() -> None:
        desk = Desk(rate=0.3)
        asked = [desk.submit() for _ in range(50)]
        for each in asked:
            assert (each.logged, each.sampling_rate) == (is_logged(each.prediction_id, 0.3), 0.3)
        in_any_case = desk.submit(sampled=False)
        assert (in_any_case.logged, in_any_case.sampling_rate) == (True, 1.0)
        await desk.turns_until(lambda: len(desk.ended) == 51)
        assert desk.log.batches == [1 + sum(each.logged for each in asked)]

    asyncio.run(story())
