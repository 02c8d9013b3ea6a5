"""The door and the sink follow contracts together."""

import asyncio
from typing import Any

import httpx
from fastapi import FastAPI

from event_schemas import DataArrived, DataQuarantined
from ingest.app import build


def request(api: FastAPI, method: str, path: str, **body: Any) -> httpx.Response:
    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app=api)
        async with httpx.AsyncClient(transport=transport, base_url="http://ingest") as client:
            return await client.request(method, path, **body)

    return asyncio.run(send())


def test_fault_4_7_rows_of_a_new_column_and_of_a_new_dataset_are_stored_without_a_restart(
    settings: Any, bus: Any, online: Any, weather: Any, rows_of: Any
) -> None:
    (loop,), api = build(settings, bus, online=online)
    loop.open()
    folder = settings.models_dir / "some_model" / "datasets"

    def send(dataset: str, item: dict[str, Any]) -> int:
        path = f"/v1/datasets/{dataset}/records"
        answer = request(api, "POST", path, json={"records": [item]})
        while loop.step():
            pass
        return answer.status_code

    assert send("weather", weather(1)) == 202
    path = folder / "weather.yaml"
    path.write_text(f"{path.read_text()}  - {{name: humidity, type: number}}\n")
    assert send("weather", weather(2, humidity=40.0)) == 202
    assert send("tides", weather(3)) == 404
    (folder / "tides.yaml").write_text(
        "dataset: tides\nunknown_columns: drop\ncolumns: {temp: {type: number}}\n"
    )
    assert send("tides", weather(3)) == 202
    assert {"weather", "landings", "tides"} == {
        listed["dataset"] for listed in request(api, "GET", "/v1/datasets").json()["datasets"]
    }
    loop.close()
    assert bus.events(DataQuarantined) == []
    assert [row["humidity"] for row in rows_of("weather")] == [None, 40.0]
    assert [row["temp"] for row in rows_of("tides")] == [33.0]
    assert [event.body.dataset for event in bus.events(DataArrived)] == [
        *("weather", "weather", "tides")
    ]
