"""Testers choose the arm that answers, by a header and a token."""

import hashlib
import logging
from typing import Any

import httpx
import pytest
from pydantic import SecretStr, ValidationError
from services.predictor.tests.lab import Json, Lab

from predictor.settings import PredictorSettings

TOKEN = "a-token-of-the-testers"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
INFER = "/v2/models/flight_delay/infer"
PATHS = ["/predict", "/v1/models/flight_delay/predict", INFER]


@pytest.fixture
def trial(lab: Lab) -> Lab:
    """Version 2 is under trial at weight 0, so no entity gets it; testers may."""
    lab.start(override_token=SecretStr(TOKEN))
    return lab.announce(lab.step(0, lab.version(1), lab.version(2, bias=1.0), weight=0.0))


def ask(lab: Lab, path: str, body: Json, headers: dict[str, str]) -> httpx.Response:
    """One row in the form of a path."""
    if path == "/predict":
        sent = body
    elif path == INFER:
        sent = {
            "id": body["entity_id"],
            "inputs": [
                {
                    "name": name,
                    "datatype": "FP64" if name == "hour" else "BYTES",
                    "shape": [1],
                    "data": [value],
                }
                for name, value in body["features"].items()
            ],
        }
    else:
        sent = {key: value for key, value in body.items() if key != "model"}
    return lab.run(lambda client: client.post(path, json=sent, headers=headers))


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    ("name", "version"), [("challenger", "2"), ("2", "2"), ("champion", "1"), ("1", "1")]
)
def test_the_named_arm_answers_and_is_logged_as_pinned(
    trial: Lab, body: Json, path: str, name: str, version: str
) -> None:
    answer = ask(trial, path, body, {**BEARER, "X-Tailrace-Arm": name})
    assert answer.status_code == 200, answer.text
    (logged,) = trial.logged()
    assert (logged.version, logged.pinned, logged.weight) == (version, True, 0.0)
    assert logged.arm == ("challenger" if version == "2" else "champion")


@pytest.mark.parametrize("path", PATHS)
def test_a_token_alone_chooses_nothing(trial: Lab, body: Json, path: str) -> None:
    assert ask(trial, path, body, BEARER).status_code == 200
    (logged,) = trial.logged()
    assert (logged.version, logged.pinned) == ("1", False)


def test_all_of_many_are_answered_by_the_named_arm(trial: Lab, body: Json) -> None:
    one = {key: value for key, value in body.items() if key != "model"}
    many = {"instances": [{**one, "entity_id": f"e{i}"} for i in range(5)]}
    path = "/v1/models/flight_delay/predict"
    headers = {**BEARER, "X-Tailrace-Arm": "challenger"}
    answer = trial.run(lambda client: client.post(path, json=many, headers=headers))
    assert [each["version"] for each in answer.json()["predictions"]] == ["2"] * 5
    assert all(each.pinned for each in trial.logged())


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", f"Bearer {TOKEN}x", f"Basic {TOKEN}", TOKEN, "Bearer é"],
)
def test_without_the_token_nothing_is_answered(
    trial: Lab, body: Json, path: str, authorization: str | None
) -> None:
    headers: dict[Any, Any] = {b"X-Tailrace-Arm": b"challenger"}
    if authorization is not None:
        headers[b"Authorization"] = authorization.encode()
    answer = ask(trial, path, body, headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "OVERRIDE_TOKEN" in answer.text
    assert trial.logged() == []


@pytest.mark.parametrize("path", PATHS)
def test_where_no_token_is_set_nobody_may_choose(serving: Lab, body: Json, path: str) -> None:
    answer = ask(serving, path, body, {**BEARER, "X-Tailrace-Arm": "champion"})
    assert answer.status_code == 403
    assert "set OVERRIDE_TOKEN" in answer.text
    assert serving.logged() == []


@pytest.mark.parametrize("path", PATHS)
def test_an_arm_that_is_not_loaded_is_not_found(trial: Lab, body: Json, path: str) -> None:
    answer = ask(trial, path, body, {**BEARER, "X-Tailrace-Arm": "7"})
    assert answer.status_code == 404
    assert "loaded are 1, 2" in answer.text


def test_without_a_trial_there_is_no_challenger(trial: Lab, body: Json) -> None:
    trial.announce(trial.step(1, trial.version(2, bias=1.0)))
    answer = ask(trial, "/predict", body, {**BEARER, "X-Tailrace-Arm": "challenger"})
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "no_challenger"
    assert "version 2 answers everything" in answer.text


@pytest.mark.parametrize(("name", "status"), [("", 422), ("v" * 65, 422), ("v" * 64, 404)])
def test_a_name_has_1_to_64_characters(trial: Lab, body: Json, name: str, status: int) -> None:
    assert ask(trial, "/predict", body, {**BEARER, "X-Tailrace-Arm": name}).status_code == status


def test_a_version_in_the_path_and_an_arm_in_the_header_are_one_too_many(
    trial: Lab, body: Json
) -> None:
    path = "/v2/models/flight_delay/versions/1/infer"
    headers = {**BEARER, "X-Tailrace-Arm": "1"}
    inputs = [
        {"name": "carrier", "datatype": "BYTES", "shape": [1], "data": ["UA"]},
        {"name": "origin", "datatype": "BYTES", "shape": [1], "data": ["EWR"]},
    ]
    answer = trial.run(lambda client: client.post(path, json={"inputs": inputs}, headers=headers))
    assert answer.status_code == 400
    assert "leave X-Tailrace-Arm out" in answer.json()["error"]


def test_the_token_is_neither_logged_nor_shown(
    trial: Lab, body: Json, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    answers = [
        ask(trial, "/predict", body, {"X-Tailrace-Arm": "2", "Authorization": f"Bearer {token}"})
        for token in (TOKEN, TOKEN + "x")
    ]
    assert [answer.status_code for answer in answers] == [200, 401]
    seen = [caplog.text, *(a.text for a in answers), repr(trial.settings), str(trial.logged())]
    assert not any(TOKEN in text for text in seen)


def test_a_token_that_is_easily_guessed_is_refused_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OVERRIDE_TOKEN", "short-and-silly")
    with pytest.raises(ValidationError, match="at least 16"):
        PredictorSettings()
    monkeypatch.setenv("OVERRIDE_TOKEN", "f" * 16)
    assert PredictorSettings().override_token is not None


def test_the_answer_without_the_header_is_the_same_with_and_without_a_token(
    lab: Lab, body: Json
) -> None:
    digests = set()
    for settings in ({}, {"override_token": SecretStr(TOKEN)}):
        lab.start(**settings).announce(lab.step(0, lab.version(1)))
        answer = lab.post({**body, "prediction_id": "p"}).json()
        del answer["latency_ms"]
        digests.add(hashlib.sha256(repr(answer).encode()).hexdigest())
    assert len(digests) == 1
