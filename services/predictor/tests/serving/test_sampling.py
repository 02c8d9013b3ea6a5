"""What a policy keeps out of the log is answered, numbered by nobody, and told of."""

import asyncio

import httpx
from services.predictor.tests.lab import Json, Lab

from event_schemas.policy import ServingPolicy
from predictor.domain.sampling import logged
from servicekit.testing.metrics import metric_value

RATE = 0.3
POLICY = ServingPolicy(sampling_rate=RATE)
IDS = [f"p{i}" for i in range(200)]


def ask_all(lab: Lab, body: Json, ids: list[str] = IDS) -> list[httpx.Response]:
    async def talk(client: httpx.AsyncClient) -> list[httpx.Response]:
        bodies = [{**body, "entity_id": name, "prediction_id": name} for name in ids]
        return await asyncio.gather(*(client.post("/predict", json=each) for each in bodies))

    return lab.run(talk)


def unsampled() -> float:
    return metric_value("predictions_unsampled_total", model="flight_delay")


def test_all_are_answered_and_a_share_is_logged_without_a_hole_in_the_sequence(
    lab: Lab, body: Json
) -> None:
    lab.announce(lab.step(0, lab.version(1, serving=POLICY)))
    before = unsampled()
    assert {answer.status_code for answer in ask_all(lab, body)} == {200}
    found = lab.logged()
    assert {each.prediction_id for each in found} == {i for i in IDS if logged(i, RATE)}
    assert sorted(each.sequence for each in found) == list(range(len(found)))
    assert {each.sampling_rate for each in found} == {RATE}
    assert sum(1 / each.sampling_rate for each in found) > 100, "they stand for all"
    assert unsampled() - before == len(IDS) - len(found)


def test_a_request_that_is_sent_again_is_decided_as_before(lab: Lab, body: Json) -> None:
    lab.announce(lab.step(0, lab.version(1, serving=POLICY)))
    for _ in range(2):
        ask_all(lab, body)
    counts = [each.prediction_id for each in lab.logged()]
    assert sorted(counts) == sorted([i for i in IDS if logged(i, RATE)] * 2)


def test_a_failed_one_has_the_same_chance(lab: Lab, body: Json) -> None:
    lab.announce(lab.step(0, lab.version(1, serving=POLICY)))
    answers = ask_all(lab, {**body, "features": {}})
    assert {answer.status_code for answer in answers} == {422}
    assert len(lab.logged()) == sum(logged(i, RATE) for i in IDS)


def test_each_arm_has_the_rate_of_its_own_version(lab: Lab, body: Json) -> None:
    lab.announce(lab.step(0, lab.version(1), lab.version(2, bias=1.0, serving=POLICY), weight=0.5))
    ask_all(lab, body)
    rates = {(each.version, each.sampling_rate) for each in lab.logged()}
    assert rates == {("1", 1.0), ("2", RATE)}


def test_a_new_rate_comes_into_force_with_its_step(lab: Lab, body: Json) -> None:
    lab.announce(lab.step(0, lab.version(1)))
    lab.announce(lab.step(1, lab.version(1, serving=POLICY)))
    ask_all(lab, body)
    assert len(lab.logged()) == sum(logged(i, RATE) for i in IDS)
