"""Lake and feature registry in a bucket: written by ingest, read by trainer and predictor."""

import gc
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from ingest.adapters.dataset_yaml import load_contracts
from ingest.adapters.delta_lake import DeltaLake
from ingest.adapters.feast_online import FeastOnline
from ingest.domain.once import Held
from ingest.domain.row import Origin, Row
from predictor.adapters.features.feast_registry import Column, FeastRegistry
from servicekit.errors import UnavailableError
from stores.feast import redis_online_store
from trainer.adapters.delta_table import pin

DATASET = """
dataset: weather
entity: origin
event_time: observed_at
feature_view: weather_by_origin
columns:
  - {name: origin, type: string, required: true}
  - {name: observed_at, type: timestamp, required: true}
  - {name: temp, type: number}
"""
FEATURES = """
import os
from datetime import timedelta
from feast import Entity, FeatureView, Field, FileSource, PushSource, ValueType
from feast.types import Float64

origin = Entity(name="origin", join_keys=["origin"], value_type=ValueType.STRING)
table = FileSource(
    name="table", path=f"{os.environ['LAKE_URI']}/weather", timestamp_field="event_time"
)
reports = PushSource(name="weather_reports", batch_source=table)
view = FeatureView(name="weather_by_origin", entities=[origin], ttl=timedelta(hours=6),
                   schema=[Field(name="temp", dtype=Float64)], source=reports)
"""
NOON = datetime(2013, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def collected() -> Iterator[None]:
    """No garbage is left for a later test, which would get its warnings."""
    yield
    gc.collect()


@pytest.mark.integration
# Feast's reader of a registry in a bucket leaves its temporary file to the garbage collector.
@pytest.mark.usefixtures("collected")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_what_ingest_writes_to_a_bucket_is_found_by_trainer_and_predictor(
    object_store: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake_uri, feast_repo = f"{object_store}/lake", f"{object_store}/feast"
    monkeypatch.setenv("LAKE_URI", lake_uri)
    (tmp_path / "m" / "datasets").mkdir(parents=True)
    (tmp_path / "m" / "datasets" / "weather.yaml").write_text(DATASET)
    (tmp_path / "m" / "features.py").write_text(FEATURES)
    contracts, _ = load_contracts(tmp_path)
    registry = FeastRegistry(feast_repo, redis_online_store(redis_url))
    wanted = {"origin": [("weather_by_origin", "temp")]}
    with pytest.raises(UnavailableError, match="is not there yet: ingest writes it"):
        registry.columns(wanted)

    rows = [
        Row(
            event_id=f"w{hour}",
            event_time=NOON + timedelta(hours=hour),
            entity="JFK",
            columns={"origin": "JFK", "observed_at": NOON, "temp": 30.0 + hour},
            origin=Origin(partition=0, offset=hour, made_ms=0),
        )
        for hour in range(3)
    ]
    table = DeltaLake(lake_uri).data(contracts["weather"])
    for offset, row in enumerate(rows):
        table.append([row], note="{}", positions={0: Held(offset, 0)}, known={})
    online = FeastOnline(
        feast_repo, SecretStr(redis_url), [tmp_path / "m" / "features.py"], contracts.values()
    )
    online.push("weather_by_origin", rows)

    assert registry.columns(wanted) == {"origin": Column("origin", "STRING")}
    pinned = pin(lake_uri, "weather")
    assert pinned.uri.startswith("s3://")
