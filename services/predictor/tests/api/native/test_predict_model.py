"""`POST /v1/models/{model}/predict`: one entity, or many in one request."""

import httpx
import pytest
from services.predictor.tests.lab import Json, Lab

PATH = "/v1/models/flight_delay/predict"


def ask(lab: Lab, body: Json, path: str = PATH) -> httpx.Response:
    return lab.run(lambda client: client.post(path, json=body))


@pytest.fixture
def instance(body: Json) -> Json:
    """A good request for one entity; its model is in the path."""
    return {name: value for name, value in body.items() if name != "model"}


def test_one_entity_is_answered_as_predict_answers_it(
    serving: Lab, body: Json, instance: Json
) -> None:
    short, full = serving.post(body).json(), ask(serving, instance).json()
    for answer in (short, full):
        del answer["latency_ms"], answer["prediction_id"]
    assert full == short


def test_many_entities_share_a_batch_and_keep_their_order_and_arms(
    lab: Lab, instance: Json
) -> None:
    lab.announce(lab.step(0, lab.version(1), lab.version(2, bias=-9.0), weight=0.5))
    some = [{**instance, "entity_id": f"e{i}", "prediction_id": f"p{i}"} for i in range(40)]
    answer = ask(lab, {"instances": some})
    assert answer.status_code == 200
    found = answer.json()["predictions"]
    assert [each["prediction_id"] for each in found] == [f"p{i}" for i in range(40)]
    assert {each["arm"] for each in found} == {"champion", "challenger"}
    alone = [ask(lab, each).json() for each in some]
    assert [(each["arm"], each["score"]) for each in alone] == [
        (each["arm"], each["score"]) for each in found
    ]
    logged = lab.logged()[:40]
    assert [each.prediction_id for each in logged] == [f"p{i}" for i in range(40)]
    assert [each.sequence for each in logged] == list(range(40))
    assert len({each.latency.inference_ms for each in logged}) == 2, "one run a version"


def test_an_instance_without_a_prediction_says_why_and_its_neighbours_are_answered(
    serving: Lab, instance: Json
) -> None:
    lacks = {**instance, "features": {"carrier": "UA"}}
    answer = ask(serving, {"instances": [instance, lacks, instance]})
    assert answer.status_code == 200
    first, second, third = answer.json()["predictions"]
    assert first["score"] == third["score"]
    assert second["error"]["code"] == "missing_feature"
    assert second["error"]["field"] == "features.origin"
    assert [each.error is None for each in serving.logged()] == [True, False, True]


@pytest.mark.parametrize(
    ("second", "field"),
    [
        ({"entity_id": ""}, "instances[1].entity_id"),
        ({"entity_id": 7}, "instances[1].entity_id"),
        ({"prediction_id": "a b"}, "instances[1].prediction_id"),
        ({"event_time": "2013-07-01T10:00:00"}, "instances[1].event_time"),
    ],
)
def test_many_that_break_the_contract_are_refused_whole_and_told_where(
    serving: Lab, instance: Json, second: Json, field: str
) -> None:
    answer = ask(serving, {"instances": [instance, {**instance, **second}]})
    assert answer.status_code == 422
    assert answer.json()["error"]["field"] == field
    assert serving.logged() == []


def test_the_number_of_instances_has_a_limit(serving: Lab, instance: Json) -> None:
    serving.start(max_instances=3).announce(serving.step(0, serving.version(1)))
    assert ask(serving, {"instances": [instance] * 3}).status_code == 200
    for count in (0, 4):
        answer = ask(serving, {"instances": [instance] * count})
        assert answer.status_code == 422
        assert f"instances has {count} items: send 1 to 3" in answer.json()["error"]["message"]


def test_more_than_may_be_under_way_are_turned_away_before_any_is_logged(
    serving: Lab, instance: Json
) -> None:
    serving.start(max_in_flight=2, max_instances=3).announce(serving.step(0, serving.version(1)))
    assert ask(serving, {"instances": [instance] * 2}).status_code == 200
    answer = ask(serving, {"instances": [instance] * 3})
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["error"]["code"] == "overloaded"
    assert len(serving.logged()) == 2


def test_an_unknown_model_is_404_before_its_body_is_read(serving: Lab) -> None:
    answer = ask(serving, {"anything": 1}, "/v1/models/flight/predict")
    assert answer.status_code == 404
    assert "known are flight_delay" in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("content", "status"),
    [(b"{", 400), (b"[]", 422), (b"{}", 422), (b'{"instances": 1}', 422), (b"null", 422)],
)
def test_what_is_no_request_is_told_so(serving: Lab, content: bytes, status: int) -> None:
    answer = serving.run(lambda client: client.post(PATH, content=content))
    assert answer.status_code == status
    assert answer.json()["error"]["message"]


def test_a_feature_may_be_called_instances(serving: Lab, instance: Json) -> None:
    instance["features"] = {**instance["features"], "instances": 1}
    answer = ask(serving, instance)
    assert answer.json()["error"]["field"] == "features.instances"
