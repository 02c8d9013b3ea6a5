"""What is asked over Kafka is answered in the log, as a request over HTTP would be."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from services.predictor.tests.lab import Features, Json, Lab, score

from event_schemas import PredictionLogged, ScoreRequested
from event_schemas.policy import ServingPolicy
from predictor.api.kafka import KafkaScoringLoop
from predictor.domain.routing import challenger_answers
from predictor.serving.routes.follow_rollout import RolloutFollower
from predictor.settings import PredictorSettings
from servicekit.clock import FakeClock
from servicekit.cloudevents import encode
from servicekit.errors import UnavailableError
from servicekit.event import Event

NOW = FakeClock().now()


@pytest.fixture
def asked(lab: Lab) -> Lab:
    """A service that answers `score.requested` too, with no model."""
    return started(lab)


def started(lab: Lab, **settings: Any) -> Lab:
    lab.start(score_requested=True, **settings)
    lab.of(KafkaScoringLoop).loop.open()
    return lab


def request(lab: Lab, name: str = "p0", **fields: Any) -> ScoreRequested:
    whole = {
        "prediction_id": name,
        "model": "flight_delay",
        "entity": f"entity-{name}",
        "features": {"carrier": "UA", "origin": "EWR", "hour": 0.5},
        "event_time": lab.bus.clock.now() - timedelta(hours=2),
    }
    return ScoreRequested(**{**whole, **fields})


def turn(lab: Lab, *requests: ScoreRequested, steps: int = 1) -> list[PredictionLogged]:
    """Publish requests, let the service handle them, and return all of the log."""
    for each in requests:
        lab.bus.publish(each)
    loop = lab.of(KafkaScoringLoop).loop

    async def session() -> None:
        async with lab.app.router.lifespan_context(lab.app):
            for _ in range(steps):
                await asyncio.to_thread(loop.step)

    asyncio.run(session())
    return lab.logged()


def dead(lab: Lab) -> list[str]:
    letters = lab.bus.messages("predictor.dead")
    return [dict(each.headers)["dead_text"].decode() for each in letters]


def test_the_answer_in_the_log_is_that_of_a_request_over_http(asked: Lab, body: Json) -> None:
    asked.announce(asked.step(0, asked.version(1)))
    (logged,) = turn(asked, request(asked, "p0", entity=body["entity_id"]))

    answer = asked.post({**body, "prediction_id": "p1"}).json()

    assert (logged.prediction_id, logged.version, logged.arm) == ("p0", "1", answer["arm"])
    assert logged.score == answer["score"]
    over_http = asked.logged()[-1]
    assert logged.features == over_http.features
    assert logged.event_time == request(asked).event_time
    assert not logged.pinned


def test_entities_have_the_arms_that_the_rollout_gives_them(asked: Lab) -> None:
    asked.announce(asked.step(0, asked.version(1), asked.version(2, bias=1.0), weight=0.4))
    found = turn(asked, *(request(asked, f"p{i}") for i in range(200)))

    assert [each.prediction_id for each in found] == [f"p{i}" for i in range(200)]
    for each in found:
        wanted = challenger_answers("salt", "flight_delay", each.entity, 0.4)
        assert each.arm == ("challenger" if wanted else "champion")
    assert 40 < sum(each.arm == "challenger" for each in found) < 120


def test_a_challenger_in_shadow_scores_them_too(asked: Lab) -> None:
    step = asked.step(0, asked.version(1), asked.version(2, bias=1.0), weight=0.0)
    asked.announce(step.model_copy(update={"shadow": 1.0}))
    found = turn(asked, *(request(asked, f"p{i}") for i in range(20)))

    answers = {each.prediction_id: each for each in found if each.arm == "champion"}
    shadows = {each.prediction_id: each for each in found if each.arm == "shadow"}
    assert answers.keys() == shadows.keys() == {f"p{i}" for i in range(20)}
    for name, each in shadows.items():
        assert (each.version, answers[name].version) == ("2", "1")
        assert score(each) > score(answers[name]), "its bias is greater"
    assert len(found) == 40


def test_a_feature_that_is_missing_is_told_in_the_log(asked: Lab) -> None:
    asked.announce(asked.step(0, asked.version(1)))
    (logged,) = turn(asked, request(asked, features={"origin": "EWR"}))
    assert logged.score is None
    assert logged.error is not None
    assert "carrier" in logged.error
    assert dead(asked) == []


def test_an_event_of_another_kind_is_a_dead_letter(asked: Lab) -> None:
    asked.announce(asked.step(0, asked.version(1)))
    other = encode(Event(asked.step(1, asked.version(2)), "/test", NOW))
    asked.bus.append(other._replace(topic="score.requested"))
    assert [each.prediction_id for each in turn(asked, request(asked))] == ["p0"]
    (letter,) = dead(asked)
    assert "rollout.step has no place in this topic: send score.requested" in letter


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"model": "other"}, "'other' is not served here; known are flight_delay"),
        ({"event_time": NOW + timedelta(days=400 * 365)}, "lies more than 300 s in the future"),
    ],
)
def test_what_can_never_be_answered_is_a_dead_letter_and_the_others_are_answered(
    asked: Lab, fields: Json, says: str
) -> None:
    asked.announce(asked.step(0, asked.version(1)))
    others = [request(asked, f"p{i}") for i in range(4)]
    found = turn(asked, *others[:2], request(asked, "bad", **fields), *others[2:])

    assert [each.prediction_id for each in found] == ["p0", "p1", "p2", "p3"]
    (letter,) = dead(asked)
    assert says in letter


def test_a_version_that_cannot_be_loaded_keeps_nobody_waiting(asked: Lab) -> None:
    asked.announce(asked.step(0, asked.version(1)))
    asked.announce(asked.step(0, asked.version(1, model="broken", uri="/nowhere", sha256="0" * 64)))
    found = turn(asked, request(asked, "bad", model="broken"), request(asked, "good"))
    assert [each.prediction_id for each in found] == ["good"]
    (letter,) = dead(asked)
    assert "no version of broken can be loaded" in letter


def test_requests_wait_for_a_model_that_is_on_its_way(asked: Lab) -> None:
    with pytest.raises(UnavailableError, match="no model is loaded yet"):
        turn(asked, request(asked))
    asked.announce(asked.step(0, asked.version(1)))
    assert [each.prediction_id for each in turn(asked)] == ["p0"]
    assert dead(asked) == []


def test_a_batch_is_as_large_as_what_may_be_under_way(asked: Lab) -> None:
    started(asked, max_in_flight=3, score_requested_batch=3)
    asked.announce(asked.step(0, asked.version(1)))
    assert len(turn(asked, *(request(asked, f"p{i}") for i in range(7)), steps=3)) == 7


def test_requests_wait_while_callers_over_http_take_all_the_room(
    asked: Lab, body: Json, requested: Features, stored: Features
) -> None:
    started(asked, max_in_flight=2, score_requested_batch=2)
    asked.announce(asked.step(0, asked.version(1, requested + stored)))
    asked.features.delay = 0.2
    asked.bus.publish(request(asked))
    loop = asked.of(KafkaScoringLoop).loop

    async def talk(client: httpx.AsyncClient) -> None:
        async with asked.app.router.lifespan_context(asked.app):
            others = [asyncio.create_task(client.post("/predict", json=body)) for _ in range(2)]
            await asked.features.asked.wait()
            with pytest.raises(UnavailableError, match="under way"):
                await asyncio.to_thread(loop.step)
            assert [each.status_code for each in await asyncio.gather(*others)] == [200, 200]
            await asyncio.to_thread(loop.step)

    asked.run(talk)
    assert len(asked.logged()) == 3


def test_nothing_is_taken_before_the_service_is_up_or_after_it_stopped(asked: Lab) -> None:
    asked.announce(asked.step(0, asked.version(1)))
    asked.bus.publish(request(asked))
    loop = asked.of(KafkaScoringLoop).loop
    with pytest.raises(UnavailableError, match="not started, or stops"):
        loop.step()
    assert len(turn(asked)) == 1
    asked.bus.publish(request(asked, "p1"))
    with pytest.raises(UnavailableError, match="not started, or stops"):
        loop.step()
    assert len(asked.logged()) == 1


def test_the_answer_is_logged_whatever_the_sampling_of_the_version(asked: Lab) -> None:
    policy = ServingPolicy(sampling_rate=0.01)
    asked.announce(asked.step(0, asked.version(1, serving=policy)))
    found = turn(asked, *(request(asked, f"p{i}") for i in range(50)))
    assert len(found) == 50
    assert {each.sampling_rate for each in found} == {1.0}


def test_a_batch_that_comes_again_is_answered_under_the_same_ids(
    asked: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked.announce(asked.step(0, asked.version(1)))
    loop = asked.of(KafkaScoringLoop).loop
    commit: Callable[..., None] = loop._session.commit
    failures = iter([UnavailableError("the brokers are away")])

    def fails_once(positions: object) -> None:
        for failure in failures:
            raise failure
        commit(positions)

    monkeypatch.setattr(loop._session, "commit", fails_once)
    with pytest.raises(UnavailableError):
        turn(asked, request(asked, "p0"), request(asked, "p1"))
    turn(asked)
    again = asked.bus.events(PredictionLogged)
    assert [each.body.prediction_id for each in again] == ["p0", "p1"] * 2
    assert [each.id for each in again[:2]] == [each.id for each in again[2:]]


def test_by_default_nothing_is_read(lab: Lab) -> None:
    assert [type(each) for each in lab.components] == [RolloutFollower]


def test_a_batch_larger_than_what_may_be_under_way_is_refused_at_the_start() -> None:
    with pytest.raises(ValueError, match="SCORE_REQUESTED_BATCH=11 is more than MAX_IN_FLIGHT=10"):
        PredictorSettings(
            score_requested=True, max_in_flight=10, max_instances=10, score_requested_batch=11
        )
