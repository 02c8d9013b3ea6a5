"""Builders shared by the tests of ingest."""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from event_schemas import RecordReceived
from ingest.adapters.dataset_yaml import load_contracts
from ingest.adapters.delta_lake import DeltaLake
from ingest.domain.row import Row
from ingest.handlers import RecordSink
from ingest.settings import IngestSettings
from servicekit.clock import FakeClock
from servicekit.cloudevents import encode
from servicekit.event import Event
from servicekit.loops.sink import SinkLoop
from servicekit.memory import MemoryBus

START = datetime(2013, 1, 1, 10, tzinfo=UTC)

WEATHER = """
dataset: weather
description: Hourly weather.
entity: origin
event_time: observed_at
feature_view: weather_by_origin
columns:
  - {name: origin, type: string, required: true, allowed: [EWR, JFK, LGA]}
  - {name: observed_at, type: timestamp, required: true}
  - {name: temp, type: number, min: -40, max: 130}
  - {name: gusts, type: integer}
"""
LANDINGS = """
dataset: landings
unknown_columns: drop
columns:
  delay: {type: number, required: true}
"""


class FakeOnline:
    """Keeps the newest row of each entity, and may be away."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], Row] = {}
        self.fails: list[Exception] = []
        self.opened = False

    def open(self) -> None:
        self.opened = True

    def push(self, view: str, rows: Sequence[Row]) -> None:
        if self.fails:
            raise self.fails.pop()
        for row in rows:
            known = self.rows.get((view, row.entity))
            if known is None or row.event_time >= known.event_time:
                self.rows[view, row.entity] = row


@pytest.fixture
def online() -> FakeOnline:
    return FakeOnline()


@pytest.fixture
def bus() -> MemoryBus:
    return MemoryBus(FakeClock(START + timedelta(days=30)))


@pytest.fixture
def settings(tmp_path: Path) -> IngestSettings:
    folder = tmp_path / "models" / "some_model" / "datasets"
    folder.mkdir(parents=True)
    (folder / "weather.yaml").write_text(WEATHER)
    (folder / "landings.yaml").write_text(LANDINGS)
    (tmp_path / "models" / "flight_delay").mkdir()
    (tmp_path / "models" / "flight_delay" / "model.yaml").write_text("model: flight_delay\n")
    return IngestSettings(
        models_dir=tmp_path / "models",
        lake_uri=str(tmp_path / "lake"),
        feast_repo=tmp_path / "feast",
        max_records_per_request=10,
    )


def weather_record(i: int, **columns: Any) -> dict[str, Any]:
    """A record that keeps the contract, but for `columns`."""
    time = (START + timedelta(hours=i)).isoformat()
    record = {"origin": "JFK", "observed_at": time, "temp": 30 + i % 50, **columns}
    return {"entity": "JFK", "event_time": time, "record": record}


@pytest.fixture
def weather() -> Callable[..., dict[str, Any]]:
    return weather_record


@pytest.fixture
def receive(bus: MemoryBus) -> Callable[..., None]:
    """Put weather records on the bus, with ids of their own: `e-<i>`."""

    def put(*which: int, dataset: str = "weather", **columns: Any) -> None:
        for i in which:
            item = weather_record(i, **columns)
            body = RecordReceived.model_validate({"dataset": dataset, **item})
            bus.append(encode(Event(body=body, source="/test", time=bus.clock.now(), id=f"e-{i}")))

    return put


@pytest.fixture
def start(bus, settings, online):
    """Start the service anew, as after a crash: nothing is shared but bus, lake and store."""

    def begin(
        max_batch: int = 1000, recent_ids: int = 1000, member: str = "0", **compact: int
    ) -> SinkLoop:
        sink = RecordSink(
            load_contracts(settings.models_dir)[0],
            DeltaLake(settings.lake_uri, **compact),
            online,
            recent_ids=recent_ids,
            clock=bus.clock,
        )
        topics = ["record.received"]
        loop = SinkLoop("ingest", sink, bus, topics=topics, member=member, max_batch=max_batch)
        loop.open()
        return loop

    return begin


@pytest.fixture
def rows_of(settings: IngestSettings) -> Callable[[str], list[dict[str, Any]]]:
    """Every row of a table of the lake, by its path."""
    from deltalake import DeltaTable

    def read(path: str) -> list[dict[str, Any]]:
        rows = DeltaTable(f"{settings.lake_uri}/{path}").to_pyarrow_table().to_pylist()
        for row in rows:
            if "reasons" in row:
                row["reasons"] = json.loads(row["reasons"])
        return sorted(rows, key=lambda row: row["event_time"])

    return read
