import asyncio
import gzip
import json
import math
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from services.predictor.tests.lab import Features, Json, Lab, error

from event_schemas.policy import ServingPolicy
from predictor.domain.answer import Answer
from predictor.domain.features import Value
from servicekit.testing.metrics import metric_value

NOW = datetime(2013, 7, 1, 12, tzinfo=UTC)


def refused(answer: httpx.Response, status: int, code: str) -> Json:
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
    assert set(answer.json()["error"]) <= {"code", "message", "field"}
    return answer.json()["error"]


def test_an_answer_names_version_arm_score_and_confidence(serving: Lab, body: Json) -> None:
    answer = serving.post({**body, "prediction_id": "p1"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    given = answer.json()
    score = 1 / (1 + math.exp(-1.5))  # UA gives 1, hour gives 0.5
    assert given.pop("latency_ms") > 0
    assert given.pop("score") == pytest.approx(score, abs=1e-6)
    assert given.pop("confidence") == pytest.approx(score, abs=1e-6)
    assert given == {
        "prediction_id": "p1",
        "model": "flight_delay",
        "version": "1",
        "arm": "champion",
        "prediction": 1,
    }


def test_every_answer_is_in_the_log_as_it_was_given(serving: Lab, body: Json) -> None:
    answer = serving.post({**body, "prediction_id": "p1"}).json()
    (event,) = serving.bus.messages("prediction.logged")
    (logged,) = serving.logged()
    assert dict(event.headers)["ce_id"].decode() == "p1"
    assert (logged.prediction_id, logged.score, logged.version) == ("p1", answer["score"], "1")
    assert logged.features == {"carrier": "UA", "origin": "EWR", "hour": 0.5}
    assert (logged.entity, logged.weight, logged.salt) == ("UA1", 0.0, "salt")
    assert (logged.rollout_id, logged.arm, logged.error) == ("rollout-0", "champion", None)
    assert logged.event_time == datetime(2013, 7, 1, 10, tzinfo=UTC)
    assert logged.latency.total_ms >= logged.latency.inference_ms > 0


def test_what_the_caller_leaves_out_is_made_up(serving: Lab, body: Json) -> None:
    del body["event_time"]
    ids = {serving.post(body).json()["prediction_id"] for _ in range(2)}
    assert len(ids) == 2
    assert {logged.event_time for logged in serving.logged()} == {NOW}
    assert [logged.sequence for logged in serving.logged()] == [0, 1]
    assert len({logged.replica for logged in serving.logged()}) == 1


def test_a_request_sent_again_is_the_same_event(serving: Lab, body: Json) -> None:
    for _ in range(2):
        assert serving.post({**body, "prediction_id": "again"}).status_code == 200
    events = serving.bus.messages("prediction.logged")
    assert len({dict(event.headers)["ce_id"] for event in events}) == 1


def test_the_trace_of_the_caller_goes_on_in_the_log(serving: Lab, body: Json) -> None:
    from servicekit.telemetry.tracing import TraceRequests

    serving.app.add_middleware(TraceRequests)
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    assert serving.post(body, headers={"traceparent": trace}).status_code == 200
    (event,) = serving.bus.messages("prediction.logged")
    assert dict(event.headers)["traceparent"].decode() == trace


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"nonsense", b"\xff\xfe", b'{"model": "\xff"}', b"[" * 5000, b'{"a": NaN}'],
)
def test_a_body_that_is_no_json_is_400(serving: Lab, content: bytes) -> None:
    refused(serving.post(content=content), 400, "malformed_json")
    assert serving.logged() == []


def test_a_lone_surrogate_is_no_json_text(serving: Lab, body: Json) -> None:
    content = json.dumps({**body, "entity_id": "\ud800"}).encode()
    refused(serving.post(content=content), 400, "malformed_json")


@pytest.mark.parametrize(
    ("change", "field", "text"),
    [
        ({"model": 5}, "model", "got 5"),
        ({"entity_id": None}, "entity_id", "got None"),
        ({"features": [1]}, "features", "got [1]"),
        ({"features": None}, "features", "got None"),
        ({"event_time": "yesterday"}, "event_time", "got 'yesterday'"),
        ({"event_time": 1372672800}, "event_time", "got 1372672800"),
        ({"event_time": "2013-07-01T10:00:00"}, "event_time", "has no offset"),
        ({"event_time": "2013-02-30T10:00:00Z"}, "event_time", "got '2013-02-30T10:00:00Z'"),
        ({"event_time": "0001-01-01T00:00:00+14:00"}, "event_time", "years 1 to 9999"),
        ({"event_time": "9999-12-31T23:59:59-14:00"}, "event_time", "years 1 to 9999"),
        ({"event_time": "9998-01-01T00:00:00Z"}, "event_time", "in the future"),
        ({"prediction_id": ""}, "prediction_id", "1 to 128"),
        ({"prediction_id": "p" * 129}, "prediction_id", "1 to 128"),
        ({"prediction_id": "a b"}, "prediction_id", "1 to 128"),
        ({"prediction_id": "p\n"}, "prediction_id", "1 to 128"),
        ({"prediction_id": "é"}, "prediction_id", "1 to 128"),
        ({"prediction_id": 7}, "prediction_id", "got 7"),
        ({"entity_id": ""}, "entity_id", "send 1 to 512"),
        ({"entity_id": "e" * 513}, "entity_id", "has 513 characters: send 1 to 512"),
        ({"evnt_time": "x"}, "evnt_time", "unknown field `evnt_time`"),
    ],
)
def test_a_field_that_breaks_the_contract_is_422(
    serving: Lab, body: Json, change: dict, field: str, text: str
) -> None:
    error = refused(serving.post({**body, **change}), 422, "invalid_request")
    assert error["field"] == field
    assert text in error["message"]
    assert serving.logged() == []


@pytest.mark.parametrize("field", ["model", "entity_id", "features"])
def test_a_field_that_is_missing_is_422(serving: Lab, body: Json, field: str) -> None:
    del body[field]
    error = refused(serving.post(body), 422, "invalid_request")
    assert error["field"] == field


def test_a_body_that_is_no_object_is_422(serving: Lab) -> None:
    refused(serving.post([1, 2]), 422, "invalid_request")


@pytest.mark.parametrize(
    "change",
    [
        {"entity_id": "e" * 512},
        {"prediction_id": "p" * 128},
        {"prediction_id": "aZ09_.:-"},
        {"event_time": "2013-07-01T06:00:00-04:00"},
        {"event_time": (NOW + timedelta(seconds=300)).isoformat()},
        {"event_time": None, "prediction_id": None},
    ],
)
def test_what_lies_on_the_edge_is_answered(serving: Lab, body: Json, change: dict) -> None:
    assert serving.post({**body, **change}).status_code == 200


def test_just_beyond_the_allowed_future_is_422(serving: Lab, body: Json) -> None:
    late = (NOW + timedelta(seconds=300.001)).isoformat()
    refused(serving.post({**body, "event_time": late}), 422, "invalid_request")


@pytest.mark.parametrize(
    ("features", "code", "field"),
    [
        ({"carrier": "UA"}, "missing_feature", "features.origin"),
        ({"carrier": "UA", "origin": None}, "missing_feature", "features.origin"),
        ({"carrier": "UA", "origin": "EWR", "huor": 1}, "unknown_feature", "features.huor"),
        ({"carrier": [5], "origin": "EWR"}, "wrong_type", "features.carrier"),
        ({"carrier": "UA", "origin": "EWR", "hour": "NaN"}, "wrong_type", "features.hour"),
        ({"carrier": "UA", "origin": "EWR", "hour": {}}, "wrong_type", "features.hour"),
        ({"carrier": "UA", "origin": "EWR", "hour": 1e39}, "out_of_range", "features.hour"),
        ({"carrier": "UA", "origin": "EWR", "hour": 10**400}, "out_of_range", "features.hour"),
    ],
)
def test_a_feature_that_the_version_cannot_take_is_422_and_logged(
    serving: Lab, body: Json, features: dict, code: str, field: str
) -> None:
    error = refused(serving.post({**body, "features": features}), 422, code)
    assert error["field"] == field
    (logged,) = serving.logged()
    assert (logged.score, logged.version) == (None, "1")
    assert logged.error == f"{code}: {error['message']}"


def test_an_infinite_number_is_refused(serving: Lab, body: Json) -> None:
    text = json.dumps(body).replace('"hour": 0.5', '"hour": 1e999')
    answer = serving.post(content=text.encode())
    assert answer.status_code in (400, 422)
    assert "error" in answer.json()


def test_a_prediction_is_never_half_logged(serving: Lab, body: Json) -> None:
    serving.post({**body, "features": {}})
    serving.post(body)
    assert [logged.sequence for logged in serving.logged()] == [0, 1]


def test_an_unknown_model_is_404_and_told_the_known_ones(serving: Lab, body: Json) -> None:
    error = refused(serving.post({**body, "model": "flight"}), 404, "unknown_model")
    assert "known are flight_delay" in error["message"]
    assert serving.logged() == []


def test_without_a_model_the_caller_is_to_come_back(lab: Lab, body: Json) -> None:
    answer = lab.post(body)
    refused(answer, 503, "no_model")
    assert answer.headers["retry-after"] == "1"


def padded(body: Json, size: int) -> bytes:
    text = json.dumps(body).encode()
    return text + b" " * (size - len(text))


def test_a_body_of_the_greatest_size_is_read(lab: Lab, body: Json) -> None:
    lab.start(max_body_bytes=1000).announce(lab.step(0, lab.version(1)))
    assert lab.post(content=padded(body, 1000)).status_code == 200


def test_a_body_that_says_it_is_too_large_is_not_read_at_all(lab: Lab, body: Json) -> None:
    lab.start(max_body_bytes=1000).announce(lab.step(0, lab.version(1)))
    read = 0

    async def content() -> AsyncIterator[bytes]:
        nonlocal read
        read += 1
        yield padded(body, 1001)

    async def talk(client: httpx.AsyncClient) -> httpx.Response:
        headers = {"content-length": "1001"}
        return await client.post("/predict", content=content(), headers=headers)

    answer = lab.run(talk)
    error = refused(answer, 413, "body_too_large")
    assert error["message"] == "the body is larger than 1000 bytes"
    assert answer.headers["connection"] == "close"
    assert read == 0


@pytest.mark.parametrize("piece", [1, 7, 999, 1001])
def test_a_body_without_a_length_is_read_up_to_the_limit_only(
    lab: Lab, body: Json, piece: int
) -> None:
    lab.start(max_body_bytes=1000).announce(lab.step(0, lab.version(1)))
    read = 0

    async def content() -> AsyncIterator[bytes]:
        nonlocal read
        whole = padded(body, 10_000_000)
        for start in range(0, len(whole), piece):
            read += piece
            yield whole[start : start + piece]

    refused(lab.run(lambda c: c.post("/predict", content=content())), 413, "body_too_large")
    assert read <= 1000 + 2 * piece


def test_a_body_in_pieces_is_put_together(serving: Lab, body: Json) -> None:
    async def content() -> AsyncIterator[bytes]:
        for byte in json.dumps(body).encode():
            yield bytes([byte])

    assert serving.run(lambda c: c.post("/predict", content=content())).status_code == 200


def test_other_methods_are_refused(serving: Lab) -> None:
    assert serving.run(lambda c: c.get("/predict")).status_code == 405


def test_requests_over_the_limit_are_turned_away_and_the_others_answered(
    with_store: Lab, body: Json
) -> None:
    with_store.start(max_in_flight=3).announce()
    with_store.features.delay = 0.02  # keeps the first ones under way

    async def talk(client: httpx.AsyncClient) -> list[httpx.Response]:
        return await asyncio.gather(*(client.post("/predict", json=body) for _ in range(5)))

    answers = with_store.run(talk)
    assert sorted(answer.status_code for answer in answers) == [200, 200, 200, 503, 503]
    turned_away = next(answer for answer in answers if answer.status_code == 503)
    refused(turned_away, 503, "overloaded")
    assert turned_away.headers["retry-after"] == "1"
    assert [logged.sequence for logged in with_store.logged()] == [0, 1, 2]
    assert with_store.post(body).status_code == 200


def test_requests_of_one_turn_share_one_read_of_the_store(with_store: Lab, body: Json) -> None:
    with_store.features.put("origin", "EWR", ("weather", "temperature"), -1.5, NOW)

    async def talk(client: httpx.AsyncClient) -> list[httpx.Response]:
        bodies = [
            {
                **body,
                "entity_id": f"e{i}",
                "features": {**body["features"], "origin": ("EWR", "JFK", "LGA")[i % 3]},
            }
            for i in range(60)
        ]
        return await asyncio.gather(*(client.post("/predict", json=each) for each in bodies))

    answers = with_store.run(talk)
    assert {answer.status_code for answer in answers} == {200}
    assert len(with_store.features.reads) < 10
    for read in with_store.features.reads:
        refs, values = read["origin"]
        assert refs == [("weather", "temperature")]
        assert len(values) == len(set(values)) <= 3
    for answer in answers[0::3]:  # UA gives 1, hour 0.5, the weather at EWR -1.5
        assert answer.json()["score"] == pytest.approx(0.5, abs=1e-6)
    seen = {logged.features["origin"]: logged.features["temp"] for logged in with_store.logged()}
    assert seen == {"EWR": -1.5, "JFK": None, "LGA": None}
    assert sorted(logged.sequence for logged in with_store.logged()) == list(range(60))


def test_a_stored_value_too_old_at_the_event_time_counts_as_missing(
    with_store: Lab, body: Json
) -> None:
    asked = datetime(2013, 7, 1, 10, tzinfo=UTC)
    for age, seen in ((7200, 3.0), (7201, None)):
        with_store.features.put(
            "origin", "EWR", ("weather", "temperature"), 3.0, asked - timedelta(seconds=age)
        )
        assert with_store.post(body).status_code == 200
        assert with_store.logged()[-1].features["temp"] == seen


def test_a_store_that_is_away_gives_defaults_and_is_left_alone(with_store: Lab, body: Json) -> None:
    with_store.features.away = True
    for _ in range(3):
        assert with_store.post(body).status_code == 200
    assert len(with_store.features.reads) == 1
    assert {logged.features["temp"] for logged in with_store.logged()} == {None}


def test_a_store_that_hangs_counts_as_away(with_store: Lab, body: Json) -> None:
    with_store.start(feature_timeout_seconds=0.01).announce()
    with_store.features.delay = 30
    assert with_store.post(body).status_code == 200


def test_a_store_that_is_away_gives_the_last_known_value_where_the_feature_allows_it(
    lab: Lab, body: Json, requested: Features, stored: Features
) -> None:
    def instead() -> float:
        labels = {
            "model": "flight_delay",
            "feature": "temp",
            "reason": "store_away",
            "instead": "last_known",
        }
        return metric_value("stored_features_missing_total", **labels)

    kept = tuple(each.model_copy(update={"last_known_seconds": 86400.0}) for each in stored)
    lab.announce(lab.step(0, lab.version(1, requested + kept)))
    asked = datetime(2013, 7, 1, 10, tzinfo=UTC)
    lab.features.put("origin", "EWR", ("weather", "temperature"), 3.0, asked)
    assert lab.post(body).status_code == 200
    lab.features.away = True
    before = instead()
    assert lab.post(body).status_code == 200
    assert [logged.features["temp"] for logged in lab.logged()] == [3.0, 3.0]
    assert instead() - before == 1


def test_a_store_that_is_away_fails_requests_that_need_it(
    lab: Lab, body: Json, requested: Features, stored: Features
) -> None:
    needed = tuple(each.model_copy(update={"required": True}) for each in stored)
    lab.announce(lab.step(0, lab.version(1, requested + needed)))
    lab.features.away = True
    answer = lab.post(body)
    refused(answer, 503, "feature_unavailable")
    assert answer.headers["retry-after"] == "1"
    (logged,) = lab.logged()
    assert logged.score is None
    assert error(logged).startswith("feature_unavailable: feature 'temp' is required")


def test_a_broken_row_does_not_fail_its_neighbours(serving: Lab, body: Json) -> None:
    version = serving.champion()
    real = version.scorer.answers

    def broken(rows: Sequence[Sequence[Value]]) -> Sequence[Answer]:
        from predictor.domain.errors import ModelFailedError

        if any(row[1] == "BAD" for row in rows):
            raise ModelFailedError("model_failed", "the model failed: bad origin")
        return real(rows)

    version.scorer.answers = broken

    async def talk(client: httpx.AsyncClient) -> list[httpx.Response]:
        bodies = [
            {**body, "features": {**body["features"], "origin": o}} for o in ("A", "BAD", "C")
        ]
        return await asyncio.gather(*(client.post("/predict", json=each) for each in bodies))

    answers = serving.run(talk)
    assert [answer.status_code for answer in answers] == [200, 500, 200]
    refused(answers[1], 500, "model_failed")
    assert [logged.error is None for logged in serving.logged()] == [True, False, True]


def test_what_a_newer_challenger_takes_may_be_sent_to_all(
    lab: Lab, body: Json, requested: Features
) -> None:
    from event_schemas.policy import Feature

    extra = Feature(name="gate", kind="number", source="request")
    old, new = lab.version(1), lab.version(2, (*requested, extra))
    lab.announce(lab.step(0, old, new, weight=0.5))
    arms = {}
    for i in range(30):
        features = {**body["features"], "gate": 1.0}
        answer = lab.post({**body, "entity_id": f"e{i}", "features": features})
        assert answer.status_code == 200
        arms[answer.json()["arm"]] = answer.json()["version"]
    assert arms == {"champion": "1", "challenger": "2"}
    for logged in lab.logged():
        assert ("gate" in logged.features) == (logged.arm == "challenger")


def test_what_only_the_challenger_asks_for_is_logged_as_its_error(
    lab: Lab, body: Json, requested: Features
) -> None:
    from event_schemas.policy import Feature

    extra = Feature(name="gate", kind="number", source="request")
    lab.announce(lab.step(0, lab.version(1), lab.version(2, (*requested, extra)), weight=1.0))
    refused(lab.post(body), 422, "missing_feature")
    (logged,) = lab.logged()
    assert (logged.arm, logged.version, logged.score) == ("challenger", "2", None)


@pytest.mark.parametrize("path", ["/predict", "/v1/models/flight_delay/predict"])
def test_fault_6_15_a_compressed_body_is_told_as_one(serving: Lab, body: Json, path: str) -> None:
    async def ask(client: httpx.AsyncClient) -> httpx.Response:
        packed = gzip.compress(json.dumps(body).encode())
        return await client.post(path, content=packed, headers={"content-encoding": "gzip"})

    error = refused(serving.run(ask), 415, "unsupported_encoding")
    assert error["field"] == "Content-Encoding"


@pytest.mark.parametrize(("days", "status"), [(1, 200), (0, 422), (-1, 422)])
def test_fault_4_6_a_retired_input_is_ignored_by_versions_that_were_trained_before(
    lab: Lab, body: Json, days: int, status: int
) -> None:
    version = lab.version(1)
    until = version.trained_at + timedelta(days=days)
    version = lab.version(1, serving=ServingPolicy(retired_inputs={"gate": until}))
    lab.announce(lab.step(0, version))
    asked = {**body, "features": {**body["features"], "gate": "B12"}}
    assert lab.post(asked).status_code == status
    if status == 200:
        assert "gate" not in lab.logged()[-1].features
