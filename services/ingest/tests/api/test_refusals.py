"""What the door refuses, so that it need not be refused behind it."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from event_schemas import LabelArrived
from ingest.adapters.model_tasks import ModelTask
from ingest.api.body import RefusedError
from ingest.api.items import LabelRules, label_events
from ingest.app import build

NOW = datetime(2013, 1, 2, tzinfo=UTC)
LABEL = {"prediction_id": "p-1", "model": "flight_delay", "label": 1, "observed_at": "2013-01-01Z"}
LABEL["observed_at"] = "2013-01-01T15:00:00Z"
OTHERS = {
    "minutes": ModelTask(task="regression"),
    "outcome": ModelTask(task="multiclass", classes=("1", "2", "late")),
    "churn": ModelTask(classes=("no", "yes")),
    "broken": None,
}
RULES = LabelRules({"flight_delay": ModelTask(), **OTHERS}, NOW + timedelta(seconds=300))


def post(api, path: str, **body) -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app=api)
        async with httpx.AsyncClient(transport=transport, base_url="http://ingest") as client:
            return await client.post(path, **body)

    return asyncio.run(send())


@pytest.mark.parametrize("label", [7, -1, 0.5, 1.0000001, 1e300])
def test_fault_4_10_a_label_that_no_model_takes_is_refused(label):
    with pytest.raises(RefusedError, match=r"labels\[0\].label = .* neither 0 nor 1") as refused:
        label_events([{**LABEL, "label": label}], NOW, RULES)
    assert refused.value.status == 422


@pytest.mark.parametrize("label", [0, 1, 0.0, 1.0])
def test_fault_4_10_a_label_that_models_take_is_accepted(label):
    assert label_events([{**LABEL, "label": label}], NOW, RULES)[0].body.label == label


@pytest.mark.parametrize(
    ("model", "label", "taken"),
    [
        ("minutes", -7, -7.0),
        ("minutes", 1e300, 1e300),
        ("outcome", "late", "late"),
        ("outcome", 2, "2"),
        ("outcome", 2.0, "2"),
        ("outcome", "a new class", "a new class"),
        ("churn", "yes", "yes"),
        ("broken", 7, 7.0),
        ("broken", True, "true"),
        ("outcome", "x" * 256, "x" * 256),
    ],
)
def test_a_label_is_as_the_task_of_its_model_has_it(model, label, taken):
    [event] = label_events([{**LABEL, "model": model, "label": label}], NOW, RULES)
    assert (event.body.label, type(event.body.label)) == (taken, type(taken))


@pytest.mark.parametrize(
    ("model", "label", "remedy"),
    [
        ("minutes", "late", "the model is a regression"),
        ("minutes", True, "the model is a regression"),
        ("churn", "maybe", "send no or yes"),
        ("churn", 1, "send no or yes"),
        ("outcome", "", "send 1 to 256 characters"),
        ("outcome", "x" * 257, "send 1 to 256 characters"),
        ("outcome", [1], "send one"),
        ("broken", None, "send one"),
    ],
)
def test_a_label_that_the_task_of_its_model_cannot_have_is_refused(model, label, remedy):
    with pytest.raises(RefusedError, match=remedy):
        label_events([{**LABEL, "model": model, "label": label}], NOW, RULES)


def test_fault_1_2_a_label_observed_at_the_limit_is_taken_and_a_later_one_refused():
    at = (NOW + timedelta(seconds=300)).isoformat()
    assert label_events([{**LABEL, "observed_at": at}], NOW, RULES)
    for late in ("2013-01-02T00:05:00.000001Z", "9999-12-31T00:00:00Z"):
        with pytest.raises(RefusedError, match="MAX_LABEL_FUTURE_SECONDS"):
            label_events([{**LABEL, "observed_at": late}], NOW, RULES)


def test_fault_1_2_a_label_of_a_model_that_nobody_has_is_refused_unless_all_are_taken(
    settings, bus, online
):
    labels = {"labels": [{**LABEL, "model": "whatever"}]}
    _, api = build(settings, bus, online=online)
    answer = post(api, "/v1/labels", json=labels)
    assert answer.status_code == 422
    assert "known are flight_delay" in answer.json()["detail"]
    assert bus.events(LabelArrived) == []
    # A model that is added while ingest runs is known at once.
    (settings.models_dir / "whatever").mkdir()
    (settings.models_dir / "whatever" / "model.yaml").write_text("model: whatever")
    assert post(api, "/v1/labels", json=labels).status_code == 202
    _, api = build(settings.model_copy(update={"labels_of_any_model": True}), bus, online=online)
    labels["labels"][0]["model"] = "other"
    assert post(api, "/v1/labels", json=labels).status_code == 202


def test_fault_6_15_a_compressed_body_is_told_as_such(settings, bus, online):
    _, api = build(settings, bus, online=online)
    body = gzip.compress(json.dumps({"labels": [LABEL]}).encode())
    answer = post(api, "/v1/labels", content=body, headers={"content-encoding": "gzip"})
    assert answer.status_code == 415
    assert "'gzip'" in answer.json()["detail"]


@pytest.mark.parametrize(("parts", "read"), [(4, 4), (5, 5), (9, 6)])
def test_fault_6_13_a_body_that_is_too_large_is_read_to_a_bound_before_the_answer(
    settings, bus, online, parts, read
):
    few = {"max_body_bytes": 30, "max_drained_bytes": 20}
    _, api = build(settings.model_copy(update=few), bus, online=online)
    sent = []

    async def body() -> AsyncIterator[bytes]:
        for n in range(parts):
            sent.append(n)
            yield b"x" * 10

    assert post(api, "/v1/labels", content=body()).status_code == 413
    assert len(sent) >= read
