import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from event_schemas import LabelArrived, RecordReceived
from ingest.app import build
from servicekit.bus import Record
from servicekit.errors import OverloadedError, UnavailableError

WEATHER = "/v1/datasets/weather/records"
LABEL = {
    "prediction_id": "p-1",
    "model": "flight_delay",
    "label": 1,
    "observed_at": "2013-01-01T15:00:00-05:00",
}


class Client:
    """One request at a time to an application that nobody serves."""

    def __init__(self, api: FastAPI) -> None:
        self._api = api

    def post(self, path: str, **body: Any) -> httpx.Response:
        return asyncio.run(self._send("POST", path, **body))

    def get(self, path: str) -> httpx.Response:
        return asyncio.run(self._send("GET", path))

    async def _send(self, method: str, path: str, **body: Any) -> httpx.Response:
        transport = httpx.ASGITransport(app=self._api)
        async with httpx.AsyncClient(transport=transport, base_url="http://ingest") as client:
            return await client.request(method, path, **body)


@pytest.fixture
def built(settings, bus, online):
    return build(settings, bus, online=online)


@pytest.fixture
def client(built) -> Client:
    return Client(built[1])


def test_the_sender_is_flushed_when_the_server_stops(settings, bus, online, monkeypatch):
    sender = bus.sender()
    closed: list[float] = []
    monkeypatch.setattr(sender, "close", lambda timeout: closed.append(timeout) or 0)
    monkeypatch.setattr(bus, "sender", lambda: sender)
    _, api = build(settings, bus, online=online)

    async def serve() -> None:
        async with api.router.lifespan_context(api):
            assert closed == []

    asyncio.run(serve())
    assert len(closed) == 1


def test_records_are_on_the_bus_when_they_are_accepted(client, bus, weather):
    answer = client.post(WEATHER, json={"records": [weather(0), weather(1)]})
    assert (answer.status_code, answer.json()) == (202, {"accepted": 2})
    bodies: list[RecordReceived] = [event.body for event in bus.events(RecordReceived)]
    assert bodies[0].dataset == "weather"
    assert bodies[0].entity == "JFK"
    assert bodies[1].record["temp"] == 31
    assert bodies[1].event_time.isoformat() == "2013-01-01T11:00:00+00:00"


def test_the_same_content_makes_the_same_id_however_it_is_written(client, bus):
    first = {"entity": "a", "event_time": "2013-01-01T10:00:00Z", "record": {"b": 1, "c": 2}}
    again = {"record": {"c": 2, "b": 1}, "event_time": "2013-01-01T05:00:00-05:00", "entity": "a"}
    other = {**first, "record": {"b": 1, "c": 3}}
    for record in (first, again, other):
        assert client.post(WEATHER, json={"records": [record]}).status_code == 202
    ids = [event.id for event in bus.events(RecordReceived)]
    assert ids[0] == ids[1] != ids[2]


def test_an_unknown_dataset_is_404_and_lists_the_known_ones(client, bus, weather):
    answer = client.post("/v1/datasets/whether/records", json={"records": [weather(0)]})
    assert answer.status_code == 404
    assert "'whether'" in answer.json()["detail"]
    assert "landings, weather" in answer.json()["detail"]
    assert bus.messages("record.received") == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"records=1",
        b'{"records": [NaN]}',
        b'{"records": [Infinity]}',
        b"\xff\xfe\xfa",
        b"[" * 100_000,
        b"1" * 5000,
    ],
)
def test_what_is_no_json_is_400(client, body):
    answer = client.post(WEATHER, content=body)
    assert answer.status_code == 400
    assert "the body is" in answer.json()["detail"]


@pytest.mark.parametrize("document", [[], 1, {}, {"records": {}}, {"records": []}, {"labels": [1]}])
def test_a_body_without_records_is_422(client, document):
    answer = client.post(WEATHER, json=document)
    assert answer.status_code == 422
    assert '"records"' in answer.json()["detail"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"entity": None}, "entity"),
        ({"entity": ""}, "entity"),
        ({"entity": 7}, "entity"),
        ({"entity": "e" * 513}, "entity"),
        ({"entity": "\ud800"}, "entity"),
        ({"event_time": None}, "event_time"),
        ({"event_time": "soon"}, "event_time"),
        ({"event_time": 1357000000}, "event_time"),
        ({"event_time": "2013-01-01T10:00:00"}, "event_time"),
        ({"event_time": "2013-13-01T10:00:00Z"}, "event_time"),
        ({"event_time": "0001-01-01T00:00:00+10:00"}, "event_time"),
        ({"record": None}, "record"),
        ({"record": []}, "record"),
        ({"record": "x"}, "record"),
    ],
)
def test_a_structural_fault_is_422_and_nothing_is_taken(client, bus, weather, change, field):
    bad = {**weather(1), **change}
    body = json.dumps({"records": [weather(0), bad]}).encode()
    answer = client.post(WEATHER, content=body)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(f"records[1].{field} = ")
    (fault,) = answer.json()["faults"]
    assert (fault["index"], fault["field"]) == (1, field)
    assert fault["problem"]
    assert fault["remedy"]
    assert bus.messages("record.received") == []


@pytest.mark.parametrize(
    "record",
    [b'{"a": 1e999}', b'{"a": "\\ud800"}', b'{"\\ud800": 1}', b'{"a": ' + b"[" * 900 + b"]" * 901],
)
def test_what_json_allows_but_no_event_can_hold_is_422(client, bus, record):
    if record.endswith(b"]"):
        record = record[:-1] + b"}"
    item = b'{"entity": "a", "event_time": "2013-01-01T10:00:00Z", "record": ' + record + b"}"
    answer = client.post(WEATHER, content=b'{"records": [' + item + b"]}")
    assert answer.status_code == 422
    assert bus.messages("record.received") == []


def test_an_item_that_is_no_object_is_named(client):
    answer = client.post(WEATHER, json={"records": ["x"]})
    assert "records[0].item = 'x': it is no object" in answer.json()["detail"]


def test_only_the_first_faults_are_listed_but_all_are_counted(client, settings):
    answer = client.post(WEATHER, json={"records": [{}] * 10})
    assert len(answer.json()["faults"]) == 10
    assert "10 of 10 are wrong" in answer.json()["detail"]


def test_the_number_of_records_has_a_limit(client, weather):
    records = [weather(i) for i in range(11)]
    assert client.post(WEATHER, json={"records": records[:10]}).status_code == 202
    answer = client.post(WEATHER, json={"records": records})
    assert answer.status_code == 422
    assert "11 are more than 10 (MAX_RECORDS_PER_REQUEST)" in answer.json()["detail"]


def test_one_record_has_a_size_limit(settings, bus, online, weather):
    size = len(json.dumps(weather(0)["record"], separators=(",", ":")))
    for limit, status in ((size, 202), (size - 1, 422)):
        _, api = build(settings.model_copy(update={"max_record_bytes": limit}), bus, online=online)
        assert Client(api).post(WEATHER, json={"records": [weather(0)]}).status_code == status


def test_a_body_of_10_mb_is_413(client, bus):
    answer = client.post(WEATHER, content=b" " * 10_000_000)
    assert answer.status_code == 413
    assert "8388608" in answer.json()["detail"]
    assert bus.messages("record.received") == []


@pytest.mark.parametrize("streamed", [False, True])
def test_a_body_at_the_limit_is_read_and_one_byte_more_is_413(
    settings, bus, online, weather, streamed
):
    body = json.dumps({"records": [weather(0)]}).encode()
    for limit, status in ((len(body), 202), (len(body) - 1, 413)):
        few = {"max_body_bytes": limit, "max_drained_bytes": 0}
        _, api = build(settings.model_copy(update=few), bus, online=online)

        async def parts() -> AsyncIterator[bytes]:
            yield body[:50]
            yield body[50:]

        answer = Client(api).post(WEATHER, content=parts() if streamed else body)
        assert answer.status_code == status


@pytest.mark.parametrize("error", [UnavailableError("no broker"), OverloadedError("queue full")])
@pytest.mark.parametrize("path", [WEATHER, "/v1/labels"])
def test_a_broker_that_is_away_is_503_with_retry_after(
    settings, bus, online, weather, monkeypatch, error, path
):
    class Sender:
        def send(self, record: Record) -> Any:
            raise error

        def close(self, timeout: float) -> int:
            return 0

    monkeypatch.setattr(bus, "sender", Sender)
    _, api = build(settings, bus, online=online)
    items: dict[str, Sequence[Any]] = {"records": [weather(0)], "labels": [LABEL]}
    answer = Client(api).post(path, json=items)
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) >= 1
    assert str(error) in answer.json()["detail"]


def test_labels_are_on_the_bus_when_they_are_accepted(client, bus):
    answer = client.post("/v1/labels", json={"labels": [LABEL, {**LABEL, "label": 0.0}]})
    assert (answer.status_code, answer.json()) == (202, {"accepted": 2})
    first, second = bus.events(LabelArrived)
    body: LabelArrived = first.body
    assert (body.prediction_id, body.model, body.label) == ("p-1", "flight_delay", 1.0)
    assert body.observed_at.isoformat() == "2013-01-01T20:00:00+00:00"
    assert first.id != second.id
    client.post("/v1/labels", json={"labels": [{**LABEL, "label": 1.0}]})
    assert bus.events(LabelArrived)[2].id == first.id


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"prediction_id": ""}, "prediction_id"),
        ({"prediction_id": "p" * 129}, "prediction_id"),
        ({"model": "Flight Delay"}, "model"),
        ({"model": None}, "model"),
        ({"label": None}, "label"),
        ({"label": "1"}, "label"),
        ({"label": True}, "label"),
        ({"label": 10**400}, "label"),
        ({"observed_at": "2013-01-01"}, "observed_at"),
    ],
)
def test_a_wrong_label_is_422_and_nothing_is_taken(client, bus, change, field):
    answer = client.post("/v1/labels", json={"labels": [LABEL, {**LABEL, **change}]})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(f"labels[1].{field} = ")
    assert bus.messages("label.arrived") == []


def test_datasets_are_listed_with_their_table(client, built, weather):
    before = client.get("/v1/datasets").json()["datasets"]
    assert [d["dataset"] for d in before] == ["landings", "weather"]
    assert before[1]["rows"] is None
    assert before[1]["columns"][0]["allowed"] == ["EWR", "JFK", "LGA"]
    client.post(WEATHER, json={"records": [weather(0), weather(1)]})
    loop = built[0][0]
    loop.open()
    loop.step()
    after = client.get("/v1/datasets").json()["datasets"][1]
    assert (after["table_version"], after["rows"]) == (1, 2)


def test_the_process_says_that_it_answers(client):
    assert client.get("/health").json() == {"status": "ok"}


def test_the_open_api_document_has_examples_that_work(client):
    document = client.get("/openapi.json").json()
    for path, place in (("/v1/datasets/{dataset}/records", WEATHER), ("/v1/labels", "/v1/labels")):
        body = document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        assert client.post(place, json=body["example"]).status_code == 202
        assert {"400", "413", "422", "503"} <= document["paths"][path]["post"]["responses"].keys()
