"""A challenger in shadow sees what the champion answers, and no caller sees it."""

import asyncio
import json
import re
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import Future
from typing import TypeAlias, TypeVar

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from services.predictor.tests.lab import Features, Json, Lab, error, score, until

from event_schemas import PredictionLogged
from event_schemas.model import ModelVersion
from event_schemas.policy import Feature
from predictor.app import shortcut
from predictor.domain.errors import CannotAnswerError, ModelFailedError
from predictor.domain.features import Value
from predictor.domain.shares import is_shadowed
from predictor.ports import Model
from predictor.serving.prediction import Prediction
from predictor.serving.routes.loaded import LoadedVersion
from predictor.serving.shadow import Shadow, rest_after
from predictor.serving.stored import StoredFeatures
from servicekit.bus import Batch
from servicekit.errors import ServicekitError
from servicekit.testing.metrics import metric_value

Many: TypeAlias = Callable[[int, Lab], list[Json]]
MANY = "/v1/models/flight_delay/predict"
T = TypeVar("T")
Rows: TypeAlias = Sequence[Sequence[Value]]


def until_stopped(lab: Lab, talk: Callable[[httpx.AsyncClient], Coroutine[None, None, T]]) -> T:
    """Talk to the service, and stop it as it is stopped in earnest."""

    async def session() -> T:
        transport = httpx.ASGITransport(shortcut(lab.app))
        async with (
            lab.app.router.lifespan_context(lab.app),
            httpx.AsyncClient(transport=transport, base_url="http://test") as client,
        ):
            return await talk(client)

    return asyncio.run(session())


def shadow(lab: Lab, challenger: ModelVersion, *, share: float = 1.0, weight: float = 0.0) -> Lab:
    step = lab.step(0, lab.version(1), challenger, weight=weight)
    return lab.announce(step.model_copy(update={"shadow": share}))


@pytest.fixture
def shadowing(lab: Lab) -> Lab:
    """Version 2 is in shadow of version 1."""
    return shadow(lab, lab.version(2, bias=1.0))


@pytest.fixture
def many(body: Json) -> Many:
    """Asks about some entities in one request; the answers."""
    one = {key: value for key, value in body.items() if key != "model"}

    def ask(count: int, lab: Lab) -> list[Json]:
        rows = [{**one, "entity_id": f"e{i}", "prediction_id": f"p{i}"} for i in range(count)]

        async def talk(client: httpx.AsyncClient) -> httpx.Response:
            return await client.post(MANY, json={"instances": rows})

        answer = until_stopped(lab, talk)
        assert answer.status_code == 200, answer.text
        return answer.json()["predictions"]

    return ask


def arms(lab: Lab) -> dict[str, list[PredictionLogged]]:
    found: dict[str, list[PredictionLogged]] = {"champion": [], "challenger": [], "shadow": []}
    for each in lab.logged():
        found[each.arm].append(each)
    return found


def shadowed_rows() -> float:
    return metric_value("shadow_predictions_total", model="flight_delay", version="2")


def dropped(reason: str) -> float:
    return metric_value("shadow_predictions_dropped_total", model="flight_delay", reason=reason)


def test_the_challenger_scores_the_same_rows_under_the_same_ids(shadowing: Lab, many: Many) -> None:
    before = shadowed_rows()
    answers = many(40, shadowing)
    found = arms(shadowing)
    assert {each["version"] for each in answers} == {"1"}
    assert found["challenger"] == []
    champions = {each.prediction_id: each for each in found["champion"]}
    shadows = {each.prediction_id: each for each in found["shadow"]}
    assert champions.keys() == shadows.keys() == {f"p{i}" for i in range(40)}
    for name, each in shadows.items():
        beside = champions[name]
        assert (each.version, each.error, each.pinned) == ("2", None, False)
        assert each.features == beside.features
        assert score(each) > score(beside), "its bias is greater"
        for field in ("entity", "event_time", "rollout_id", "weight", "salt"):
            assert getattr(each, field) == getattr(beside, field)
        assert each.latency.total_ms == each.latency.features_ms + each.latency.inference_ms > 0
    assert shadowed_rows() - before == 40


def test_its_records_are_events_of_their_own_with_numbers_of_their_own(
    shadowing: Lab, many: Many
) -> None:
    many(5, shadowing)
    messages = shadowing.bus.messages("prediction.logged")
    assert len({dict(each.headers)["ce_id"] for each in messages}) == 10
    assert {each.key for each in messages} == {f"p{i}".encode() for i in range(5)}
    found = arms(shadowing)
    for arm in ("champion", "shadow"):
        assert [each.sequence for each in found[arm]] == list(range(5))
    assert {e.replica for e in found["champion"]}.isdisjoint(e.replica for e in found["shadow"])


def test_an_answer_has_the_same_bytes_with_and_without_a_shadow(lab: Lab, body: Json) -> None:
    asked = {**body, "prediction_id": "p"}

    async def talk(client: httpx.AsyncClient) -> httpx.Response:
        return await client.post("/predict", json=asked)

    answers = []
    for sequence, share in enumerate((0.0, 1.0)):
        step = lab.step(sequence, lab.version(1), lab.version(2, bias=1.0))
        lab.start().announce(step.model_copy(update={"shadow": share}))
        answer = until_stopped(lab, talk)
        told = re.sub(rb'"latency_ms":[0-9.e-]+', b"", answer.content)
        del answer.headers["content-length"]  # a time may have a digit more
        answers.append((told, answer.headers.raw))
    assert answers[0] == answers[1]
    assert [each.arm for each in lab.logged()] == ["champion", "champion", "shadow"]


def test_a_challenger_that_asks_for_what_nobody_sends_fails_unseen(lab: Lab, many: Many) -> None:
    extra = Feature(name="tail", kind="category", source="request")
    signature = (*lab.version(1).features, extra)
    shadow(lab, lab.version(2, signature))
    assert all("score" in each for each in many(3, lab))
    found = arms(lab)
    assert [each.error for each in found["champion"]] == [None] * 3
    assert {each.error for each in found["shadow"]} == {
        "missing_feature: feature 'tail' (category) is required: send it"
    }


def test_a_challenger_that_breaks_fails_unseen(
    shadowing: Lab, many: Many, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def answers(self, rows: Rows) -> list[float]:
            raise ModelFailedError("model_failed", "it broke")

    _replace_challenger(shadowing, Broken(), monkeypatch)
    assert all("score" in each for each in many(3, shadowing))
    assert [each.error for each in arms(shadowing)["shadow"]] == ["model_failed: it broke"] * 3


def test_a_bug_in_shadow_is_counted_and_reaches_nobody(
    shadowing: Lab, many: Many, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Buggy:
        def answers(self, rows: Rows) -> list[float]:
            raise ZeroDivisionError

    _replace_challenger(shadowing, Buggy(), monkeypatch)
    before = dropped("failed")
    assert all("score" in each for each in many(3, shadowing))
    assert arms(shadowing)["shadow"] == []
    assert dropped("failed") - before == 3


def _replace_challenger(lab: Lab, scorer: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    version = lab.challenger()
    replaced = LoadedVersion(
        version.model, version.version, version.sha256, version.signature, scorer
    )
    for name in ("scorer", "child"):
        # The version is frozen and shared by route and loader.
        object.__setattr__(version, name, getattr(replaced, name))


class Workers:
    """A version in worker processes, as far as shadows see it."""

    def __init__(self, answer: float | Exception) -> None:
        self.answer = answer

    def answers(self, rows: Rows) -> list[float]:
        raise AssertionError("it runs elsewhere")

    def submit(self, rows: Rows) -> "Future[list[float | ModelFailedError]]":
        if isinstance(self.answer, Exception):
            raise self.answer
        future: Future[list[float | ModelFailedError]] = Future()
        future.set_result([self.answer] * len(rows))
        return future


def test_a_challenger_in_worker_processes_is_asked_there(
    shadowing: Lab, many: Many, monkeypatch: pytest.MonkeyPatch
) -> None:
    _replace_challenger(shadowing, Workers(0.25), monkeypatch)
    many(3, shadowing)
    assert [each.score for each in arms(shadowing)["shadow"]] == [0.25] * 3


def test_workers_that_have_no_room_say_nothing_of_the_challenger(
    shadowing: Lab, many: Many, monkeypatch: pytest.MonkeyPatch
) -> None:
    _replace_challenger(
        shadowing, Workers(CannotAnswerError("overloaded", "too many")), monkeypatch
    )
    before = dropped("workers")
    many(3, shadowing)
    assert arms(shadowing)["shadow"] == []
    assert dropped("workers") - before == 3


def test_a_worker_that_died_over_the_rows_is_an_error_of_the_challenger(
    shadowing: Lab, many: Many, monkeypatch: pytest.MonkeyPatch
) -> None:
    _replace_challenger(shadowing, Workers(CannotAnswerError("model_lost", "died")), monkeypatch)
    many(2, shadowing)
    assert [each.error for each in arms(shadowing)["shadow"]] == ["model_lost: died"] * 2


def test_a_refusal_of_the_champion_is_tried_on_the_challenger(lab: Lab, body: Json) -> None:
    lenient = [
        each.model_copy(update={"required": False}) if each.name == "carrier" else each
        for each in lab.version(1).features
    ]
    shadow(lab, lab.version(2, lenient))
    del body["features"]["carrier"]

    async def talk(client: httpx.AsyncClient) -> httpx.Response:
        return await client.post("/predict", json=body)

    assert until_stopped(lab, talk).status_code == 422
    found = arms(lab)
    assert error(found["champion"][0]).startswith("missing_feature")
    assert found["shadow"][0].error is None
    assert found["shadow"][0].features == {"carrier": None, "origin": "EWR", "hour": 0.5}


def test_what_the_challenger_alone_reads_from_the_store_is_read_for_it(
    lab: Lab, many: Many, stored: Features
) -> None:
    at = lab.bus.clock.now()
    lab.features.put("origin", "EWR", ("weather", "temperature"), 2.0, at)
    shadow(lab, lab.version(2, (*lab.version(1).features, *stored)))
    many(3, lab)
    found = arms(lab)
    assert all("temp" not in each.features for each in found["champion"])
    assert [each.features["temp"] for each in found["shadow"]] == [2.0] * 3
    assert len(lab.features.reads) == 1, "one read for the three"


def test_a_store_that_is_away_for_the_challenger_is_not_away_for_the_champion(
    lab: Lab, many: Many, stored: Features
) -> None:
    needed = [each.model_copy(update={"required": True}) for each in stored]
    shadow(lab, lab.version(2, (*lab.version(1).features, *needed)))
    lab.features.away = True
    assert all("score" in each for each in many(3, lab))
    assert {error(each).partition(":")[0] for each in arms(lab)["shadow"]} == {
        "feature_unavailable"
    }


def test_a_share_is_shadowed_and_the_rest_is_not_missed(lab: Lab, many: Many) -> None:
    shadow(lab, lab.version(2), share=0.5)
    before = dropped("share")
    many(60, lab)
    wanted = [f"p{i}" for i in range(60) if is_shadowed(f"p{i}", 0.5)]
    assert 10 < len(wanted) < 50
    assert [each.prediction_id for each in arms(lab)["shadow"]] == wanted
    assert dropped("share") == before


def test_what_is_over_the_predictor_s_share_is_counted(lab: Lab, many: Many) -> None:
    lab.start(shadow_max_share=0.5)
    shadow(lab, lab.version(2))
    before = dropped("share")
    many(60, lab)
    kept = len(arms(lab)["shadow"])
    assert 0 < kept < 60
    assert dropped("share") - before == 60 - kept


def test_the_queue_has_a_bound(lab: Lab, many: Many) -> None:
    lab.start(shadow_max_queue=3)
    shadow(lab, lab.version(2))
    before = dropped("queue")
    many(5, lab)
    assert [each.prediction_id for each in arms(lab)["shadow"]] == ["p0", "p1", "p2"]
    assert dropped("queue") - before == 2


def test_a_share_of_0_turns_it_off(lab: Lab, many: Many) -> None:
    lab.start(shadow_max_share=0.0)
    shadow(lab, lab.version(2))
    many(5, lab)
    assert arms(lab)["shadow"] == []


def test_what_the_challenger_answers_itself_has_no_shadow(lab: Lab, many: Many) -> None:
    shadow(lab, lab.version(2), weight=0.5)
    many(40, lab)
    found = arms(lab)
    assert found["challenger"]
    assert [e.prediction_id for e in found["shadow"]] == [
        e.prediction_id for e in found["champion"]
    ]


def test_what_a_caller_pinned_has_no_shadow(shadowing: Lab) -> None:
    path = "/v2/models/flight_delay/versions/1/infer"
    inputs = [
        {"name": name, "datatype": "BYTES", "shape": [1], "data": [value]}
        for name, value in (("carrier", "UA"), ("origin", "EWR"))
    ]

    async def talk(client: httpx.AsyncClient) -> httpx.Response:
        return await client.post(path, json={"inputs": inputs})

    assert until_stopped(shadowing, talk).status_code == 200
    assert [each.arm for each in shadowing.logged()] == ["champion"]


def test_it_does_not_wait_for_the_end(shadowing: Lab, body: Json) -> None:
    async def talk(client: httpx.AsyncClient) -> None:
        answers = await asyncio.gather(*(client.post("/predict", json=body) for _ in range(8)))
        assert {each.status_code for each in answers} == {200}
        await until(lambda: len(arms(shadowing)["shadow"]) == 8)

    until_stopped(shadowing, talk)


class Log:
    """Takes so many records."""

    def __init__(self, room: int = 100) -> None:
        self.stalled = False
        self.room = room
        self.written: list[Json] = []

    def write(self, batch: Batch, on_done: Callable[[int, ServicekitError | None], None]) -> int:
        taken = list(batch.split())[: self.room]
        self.room -= len(taken)
        self.written += [json.loads(record.value or b"") for record in taken]
        if taken:
            on_done(len(taken), None)
        return len(taken)


Trial: TypeAlias = Callable[[Log], tuple[Shadow, list[Prediction]]]


@pytest.fixture
def trial(shadowing: Lab) -> Trial:
    """A shadow by itself, and four predictions of the champion."""
    route = shadowing.follower.routes.of("flight_delay")
    sent = {"carrier": "UA", "origin": "EWR", "hour": 0.5}

    def build(log: Log) -> tuple[Shadow, list[Prediction]]:
        features = StoredFeatures(shadowing.features, timeout=1, pause=1)
        shadow = Shadow(
            *(features, log, shadowing.bus.clock),
            share=1.0,
            queue=100,
            load=1.0,
            rest_seconds=0.0,
        )
        now = shadowing.bus.clock.now()
        answered = [
            Prediction(
                *(route, route.champion, route.champion.version),
                *(f"p{i}", "e", now, 0.0, 1.0, None, None),
                row=["UA", "EWR", 0.5],
                sent=sent,
            )
            for i in range(4)
        ]
        return shadow, answered

    return build


def test_it_waits_while_there_is_something_to_answer(trial: Trial) -> None:
    log = Log()
    shadow, answered = trial(log)
    busy = True
    shadow.must_wait = lambda: busy

    async def session() -> None:
        nonlocal busy
        shadow.offer(answered)
        for _ in range(100):
            await asyncio.sleep(0)
        assert log.written == []
        busy = False
        await until(lambda: len(log.written) == 4)
        shadow.offer(answered[:1])
        await until(lambda: len(log.written) == 5)

    asyncio.run(session())


def test_it_stops_in_time_and_counts_what_it_leaves(trial: Trial) -> None:
    log = Log()
    shadow, answered = trial(log)
    shadow.must_wait = lambda: True
    before = dropped("stopped")

    async def session() -> None:
        shadow.offer(answered)
        await shadow.close(0.0)

    asyncio.run(session())
    assert log.written == []
    assert dropped("stopped") - before == 4


def test_what_the_log_does_not_take_is_counted_and_leaves_no_hole(trial: Trial) -> None:
    log = Log(room=3)
    shadow, answered = trial(log)
    before = dropped("log")

    async def session() -> None:
        shadow.offer(answered)
        await shadow.close(60)

    asyncio.run(session())
    assert [each["sequence"] for each in log.written] == [0, 1, 2]
    assert shadow.log.sequence == 3
    assert dropped("log") - before == 1


def test_a_log_that_stalls_is_left_to_the_answers(trial: Trial) -> None:
    log = Log()
    log.stalled = True
    shadow, answered = trial(log)
    before = dropped("log")

    async def session() -> None:
        shadow.offer(answered)
        await shadow.close(60)

    asyncio.run(session())
    assert log.written == []
    assert dropped("log") - before == 4


@given(st.floats(0, 60), st.floats(0.01, 1), st.floats(0, 1))
def test_work_takes_no_more_than_its_load(took: float, load: float, least: float) -> None:
    rest = rest_after(took, load, least)
    assert rest >= least
    assert took <= load * (took + rest) * (1 + 1e-9)


def test_a_load_of_a_fifth_rests_four_times_as_long() -> None:
    assert rest_after(0.01, 0.2, 0.002) == pytest.approx(0.04)
    assert rest_after(0.0001, 0.2, 0.002) == 0.002
