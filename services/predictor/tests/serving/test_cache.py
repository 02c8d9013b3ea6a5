"""A score is given again where the policy says so, and never that of another question."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from typing import TypeAlias

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from services.predictor.tests.lab import NOW, Features, Json, Lab

from event_schemas.policy import ServingPolicy
from event_schemas.task import BINARY, Loss, Target
from predictor.domain.answer import answers_of
from predictor.domain.errors import ModelFailedError
from predictor.domain.features import Value
from predictor.ports import ChildModel
from predictor.serving.cache import PredictionCache, packed, score_key, unpacked
from predictor.serving.prediction import Prediction
from servicekit.errors import UnavailableError
from servicekit.testing.metrics import metric_value

Rows = Sequence[Sequence[Value]]
POLICY = ServingPolicy(cache_seconds=60)
PROBABILITY = answers_of(BINARY)
CLASSES = answers_of(Target("multiclass", ("a", "b", "c")))
NUMBER = answers_of(Target("regression", (), Loss(name="squared_error")))

Parts: TypeAlias = tuple[str, str, str, str, list[Value]]

values: st.SearchStrategy[Value] = (
    st.none() | st.text() | st.floats(allow_nan=False, allow_infinity=False)
)
parts: st.SearchStrategy[Parts] = st.tuples(
    st.text(), st.text(), st.text(), st.text(), st.lists(values, max_size=4)
)
near: st.SearchStrategy[Parts] = st.sampled_from(
    [
        ("m", "1", "a", "e", [1.0, None]),
        ("m", "1", "a", "e", ["1.0", None]),
        ("m", "1", "a", "e", [1.0, "None"]),
        ("m", "1", "a", "e", [1.0000000000000002, None]),
        ("m", "1", "a", "e", [1.0]),
        ("m", "1", "a", "e', 1.0", [None]),
        ("m", "1", "a'", "e", [1.0, None]),
        ("m", "11", "a", "e", [1.0, None]),
        ("m", "1", "b", "e", [1.0, None]),
        ("m", "1", "a", "e", [0.0]),
        ("m", "1", "a", "e", [-0.0]),
    ]
)


class Scores:
    """A store in memory, which counts, and can be slow or away."""

    def __init__(self) -> None:
        self.kept: dict[bytes, bytes] = {}
        self.seconds: list[float] = []
        self.gets: list[int] = []
        self.puts: list[int] = []
        self.away = False
        self.delay = 0.0

    async def get(self, keys: Sequence[bytes]) -> list[bytes | None]:
        self.gets.append(len(keys))
        await self._answer()
        return [self.kept.get(key) for key in keys]

    async def put(self, entries: Sequence[tuple[bytes, bytes, float]]) -> None:
        self.puts.append(len(entries))
        await self._answer()
        for key, data, seconds in entries:
            self.kept[key] = data
            self.seconds.append(seconds)

    async def close(self) -> None:
        pass

    async def _answer(self) -> None:
        await asyncio.sleep(self.delay)
        if self.away:
            raise UnavailableError("connection refused")


@pytest.fixture
def scores(lab: Lab) -> Scores:
    """Where the scores of the service lie; nothing times out on a busy machine."""
    lab.scores = scores = Scores()
    lab.start(cache_timeout_seconds=60)
    return scores


@pytest.fixture
def cached(lab: Lab, scores: Scores) -> Lab:
    """A champion whose policy has a cache."""
    return lab.announce(lab.step(0, lab.version(1, serving=POLICY)))


def counted() -> tuple[float, float, float]:
    """Hits, misses and failures so far."""
    model = "flight_delay"
    return (
        metric_value("cache_hits_total", model=model),
        metric_value("cache_misses_total", model=model),
        metric_value("cache_failures_total"),
    )


def since(before: tuple[float, float, float]) -> tuple[float, ...]:
    return tuple(now - then for now, then in zip(counted(), before, strict=True))


def ask(lab: Lab, *bodies: Json) -> list[Json]:
    """Ask one after the other, in one life of the event loop; what is to be kept is kept."""

    async def talk(client: httpx.AsyncClient) -> list[httpx.Response]:
        answers = []
        for body in bodies:
            answers.append(await client.post("/predict", json=body))
            for _ in range(5):
                await asyncio.sleep(0)
        return answers

    answers = lab.run(talk)
    assert {each.status_code for each in answers} == {200}, answers[0].text
    return [each.json() for each in answers]


def test_the_same_question_is_answered_from_the_cache(
    cached: Lab, scores: Scores, body: Json
) -> None:
    before = counted()
    first, second = ask(cached, body, body)
    assert first["score"] == second["score"]
    assert first["prediction_id"] != second["prediction_id"]
    one, other = cached.logged()
    assert (one.cache_hit, other.cache_hit) == (False, True)
    assert one.latency.inference_ms > other.latency.inference_ms == 0
    assert (one.features, one.score) == (other.features, other.score)
    assert since(before) == (1, 1, 0)
    assert scores.seconds == [60]


def test_without_a_policy_nothing_is_asked_or_kept(lab: Lab, scores: Scores, body: Json) -> None:
    lab.announce(lab.step(0, lab.version(1)))
    before = counted()
    ask(lab, body, body)
    assert (scores.gets, scores.puts, scores.kept) == ([], [], {})
    assert not any(each.cache_hit for each in lab.logged())
    assert since(before) == (0, 0, 0)


def test_another_question_is_another_score(cached: Lab, scores: Scores, body: Json) -> None:
    features = body["features"]
    others = [
        {**body, "entity_id": "other"},
        {**body, "features": {**features, "hour": 0.5000001}},
        {**body, "features": {**features, "carrier": "B6"}},
    ]
    ask(cached, body, *others)
    assert not any(each.cache_hit for each in cached.logged())
    assert len(scores.kept) == 4


def test_another_version_never_gives_an_answer_of_the_old_one(cached: Lab, body: Json) -> None:
    (old,) = ask(cached, body)
    cached.announce(cached.step(1, cached.version(2, bias=1.0, serving=POLICY)))
    new, again = ask(cached, body, body)
    assert (new["version"], again["version"]) == ("2", "2")
    assert new["score"] == again["score"] > old["score"]
    assert [each.cache_hit for each in cached.logged()] == [False, False, True]


def test_another_file_under_the_same_version_is_another_score(cached: Lab, body: Json) -> None:
    (old,) = ask(cached, body)
    (cached.folder / "flight_delay-1.onnx").unlink()
    cached.announce(cached.step(1, cached.version(1, bias=1.0, serving=POLICY)))
    (new,) = ask(cached, body)
    assert new["score"] > old["score"]


def test_the_arms_do_not_share_scores(lab: Lab, scores: Scores, body: Json) -> None:
    one, two = lab.version(1, serving=POLICY), lab.version(2, bias=1.0, serving=POLICY)
    lab.announce(lab.step(0, one, two, weight=0.0))
    (champion,) = ask(lab, body)
    lab.announce(lab.step(1, one, two, weight=1.0))
    (challenger,) = ask(lab, body)
    assert challenger["score"] > champion["score"]


def test_a_stored_feature_that_changed_is_another_question(
    lab: Lab, scores: Scores, body: Json, requested: Features, stored: Features
) -> None:
    lab.announce(lab.step(0, lab.version(1, requested + stored, serving=POLICY)))
    for temperature in (1.0, 2.0, 1.0):
        at = lab.bus.clock.now()
        lab.features.put("origin", "EWR", ("weather", "temperature"), temperature, at)
        ask(lab, body)
    assert [each.cache_hit for each in lab.logged()] == [False, False, True]


def test_many_share_one_read_and_one_write(cached: Lab, scores: Scores, body: Json) -> None:
    one = {key: value for key, value in body.items() if key != "model"}
    rows = [{**one, "entity_id": f"e{i}"} for i in range(20)]
    path = "/v1/models/flight_delay/predict"

    async def talk(client: httpx.AsyncClient) -> None:
        for _ in range(2):
            await client.post(path, json={"instances": rows})
            await asyncio.sleep(0.01)

    cached.run(talk)
    assert scores.gets == [20, 20]
    assert scores.puts == [20]
    assert sum(each.cache_hit for each in cached.logged()) == 20


def test_an_outage_is_a_miss_and_is_not_tried_again_at_once(
    cached: Lab, scores: Scores, body: Json
) -> None:
    scores.away = True
    before = counted()
    ask(cached, *[body] * 5)
    assert scores.gets == [1]
    assert since(before) == (0, 5, 1)
    assert [each.error for each in cached.logged()] == [None] * 5


def test_after_the_pause_it_is_asked_again(lab: Lab) -> None:
    lab.start()
    scores, now = Scores(), 0.0
    cache = PredictionCache(scores, timeout=60, pause=1, now=lambda: now)
    lab.announce(lab.step(0, lab.version(1, serving=POLICY)))
    route = lab.follower.routes.of("flight_delay")

    def asked() -> Prediction:
        return Prediction(
            *(route, route.champion, route.champion.version),
            *("p", "e", NOW, 0.0, 1.0, None, None),
            row=["UA", "EWR", 0.5],
        )

    async def session() -> None:
        nonlocal now
        scores.away = True
        await cache.look_up([asked()])
        scores.away = False
        now = 0.99
        await cache.look_up([asked()])
        assert scores.gets == [1]
        now = 1.0
        await cache.look_up([asked()])
        assert scores.gets == [1, 1]

    asyncio.run(session())


def test_a_cache_that_is_too_slow_is_not_waited_for(lab: Lab, body: Json) -> None:
    lab.scores = scores = Scores()
    scores.delay = 600
    lab.start(cache_timeout_seconds=0.01)
    lab.announce(lab.step(0, lab.version(1, serving=POLICY)))
    before = counted()
    ask(lab, body)
    assert since(before) == (0, 1, 1)


def test_rubbish_in_the_cache_is_a_miss_and_is_written_over(
    cached: Lab, scores: Scores, body: Json
) -> None:
    (first,) = ask(cached, body)
    (key,) = scores.kept
    scores.kept[key] = b"rubbish"
    second, third = ask(cached, body, body)
    assert first["score"] == second["score"] == third["score"]
    assert [each.cache_hit for each in cached.logged()] == [False, False, True]


def test_a_failure_is_not_kept(
    cached: Lab, scores: Scores, body: Json, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def answers(self, rows: Rows) -> list[float]:
            raise ModelFailedError("model_failed", "it broke")

    version = cached.champion()
    object.__setattr__(version, "scorer", Broken())
    assert cached.post(body).status_code == 500
    assert scores.kept == {}


def test_a_version_in_worker_processes_is_not_asked_twice(cached: Lab, body: Json) -> None:
    class Workers:
        asked = 0

        def answers(self, rows: Rows) -> list[float]:
            raise AssertionError("it runs elsewhere")

        def submit(self, rows: Rows) -> "Future[list[float | ModelFailedError]]":
            self.asked += len(rows)
            future: Future[list[float | ModelFailedError]] = Future()
            future.set_result([0.25] * len(rows))
            return future

    workers = Workers()
    assert isinstance(workers, ChildModel)
    version = cached.champion()
    for name in ("scorer", "child"):
        object.__setattr__(version, name, workers)
    assert [each["score"] for each in ask(cached, body, body, body)] == [0.25] * 3
    assert workers.asked == 1
    assert [each.cache_hit for each in cached.logged()] == [False, True, True]


def test_what_is_in_the_cache_waits_for_no_worker(cached: Lab, body: Json) -> None:
    class Workers:
        future: "Future[list[float | ModelFailedError]]" = Future()

        def answers(self, rows: Rows) -> list[float]:
            raise AssertionError("it runs elsewhere")

        def submit(self, rows: Rows) -> "Future[list[float | ModelFailedError]]":
            assert len(rows) == 1
            return self.future

    ask(cached, body)
    workers = Workers()
    version = cached.champion()
    for name in ("scorer", "child"):
        object.__setattr__(version, name, workers)

    async def talk(client: httpx.AsyncClient) -> None:
        new = asyncio.create_task(client.post("/predict", json={**body, "entity_id": "new"}))
        known = await client.post("/predict", json=body)
        assert (known.status_code, new.done()) == (200, False)
        workers.future.set_result([0.25])
        assert (await new).json()["score"] == 0.25

    cached.run(talk)


def distinct(row: list[Value]) -> list[str]:
    """Values as they are told apart: 0.0 and -0.0 are equal, and a model may tell them apart."""
    return [repr(value) for value in row]


@given(parts | near, parts | near)
def test_two_names_are_the_same_where_all_that_a_score_depends_on_is(
    one: Parts, other: Parts
) -> None:
    same = one[:4] == other[:4] and distinct(one[4]) == distinct(other[4])
    assert (score_key(*one) == score_key(*other)) == same


@given(parts)
def test_a_name_is_the_same_each_time(one: Parts) -> None:
    assert score_key(*one) == score_key(*one[:4], [*one[4]])


def test_people_find_the_scores_of_a_version() -> None:
    assert score_key("flight_delay", "3", "ab", "e", [1.0]).startswith(
        b"tailrace:score:flight_delay:3:"
    )


@given(parts | near, st.floats(0, 1))
def test_a_score_comes_back_as_it_was(one: Parts, score: float) -> None:
    key = score_key(*one)
    assert unpacked(key, packed(key, score), PROBABILITY) == score


@given(parts | near, st.lists(st.floats(0, 1), min_size=3, max_size=3).map(tuple))
def test_scores_of_classes_come_back_as_they_were(one: Parts, scores: tuple[float, ...]) -> None:
    key = score_key(*one)
    assert unpacked(key, packed(key, scores), CLASSES) == scores
    assert unpacked(key, packed(key, scores), PROBABILITY) is None
    assert unpacked(key, packed(key, scores[0]), CLASSES) is None


@given(parts | near, st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_comes_back_as_it_was(one: Parts, number: float) -> None:
    key = score_key(*one)
    assert unpacked(key, packed(key, number), NUMBER) == number


@given(parts | near, parts | near, st.floats(0, 1))
def test_a_score_of_another_name_is_none(one: Parts, other: Parts, score: float) -> None:
    key, another = score_key(*one), score_key(*other)
    if key != another:
        assert unpacked(key, packed(another, score), PROBABILITY) is None


@given(st.none() | st.binary(max_size=48) | st.binary(min_size=40, max_size=40))
def test_rubbish_is_no_score(data: bytes | None) -> None:
    assert unpacked(score_key("m", "1", "a", "e", []), data, PROBABILITY) is None


@given(st.floats().filter(lambda score: not 0 <= score <= 1))
def test_what_is_no_probability_is_no_score(score: float) -> None:
    key = score_key("m", "1", "a", "e", [])
    assert unpacked(key, packed(key, score), PROBABILITY) is None
