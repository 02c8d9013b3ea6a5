from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from ingest.adapters.dataset_yaml import load_contracts
from ingest.adapters.feast_online import FeastOnline
from servicekit.errors import FatalBusError, UnavailableError


@pytest.mark.integration
def test_a_url_of_another_store_is_refused_without_showing_it(tmp_path):
    online = FeastOnline(tmp_path, SecretStr("http://h"), [])
    with pytest.raises(FatalBusError, match="REDIS_URL") as error:
        online.open()
    assert "http://h" not in str(error.value)


FEATURES = """
from datetime import timedelta
from feast import Entity, FeatureView, Field, FileSource, PushSource, ValueType
from feast.types import Float64, Int64

origin = Entity(name="origin", join_keys=["origin"], value_type=ValueType.STRING)
table = FileSource(name="table", path="nowhere.parquet", timestamp_field="event_time")
reports = PushSource(name="weather_reports", batch_source=table)
view = FeatureView(name="weather_by_origin", entities=[origin], ttl=timedelta(hours=6),
                   schema=[Field(name="temp", dtype=Float64), Field(name="gusts", dtype=Int64)],
                   source=reports)
"""


@pytest.mark.integration
def test_a_definition_that_raises_is_named(tmp_path):
    path = tmp_path / "features.py"
    path.write_text("1 / 0")
    online = FeastOnline(tmp_path, SecretStr("redis://127.0.0.1:1"), [path])
    with pytest.raises(FatalBusError, match=r"features.py: ZeroDivisionError"):
        online.open()


@pytest.mark.integration
def test_rows_reach_the_online_store_newest_first_and_once(
    redis_url, settings, weather, tmp_path: Path
):
    from feast import FeatureStore

    contracts = load_contracts(settings.models_dir)[0]
    features = settings.models_dir / "some_model" / "features.py"
    features.write_text(FEATURES)

    def store(url: str = redis_url) -> FeastOnline:
        online = FeastOnline(tmp_path / "feast", SecretStr(url), [features], contracts.values())
        online.open()
        return online

    def online_value(online: FeastOnline, name: str = "temp") -> object:
        held = online._store
        assert isinstance(held, FeatureStore)
        answer = held.get_online_features([f"weather_by_origin:{name}"], [{"origin": "JFK"}])
        return answer.to_dict()[name][0]

    online = store()
    rows = [_row(contracts["weather"], weather(i)) for i in range(4)]
    online.push("weather_by_origin", [rows[1], rows[2], rows[0]])
    assert online_value(online) == 32.0
    online.push("weather_by_origin", [rows[0]])
    assert online_value(online) == 32.0
    again = store()
    again.push("weather_by_origin", rows)
    assert online_value(again) == 33.0
    again.push("weather_by_origin", [_row(contracts["weather"], weather(4, gusts=7))])
    assert (online_value(again), online_value(again, "gusts")) == (34.0, 7)
    missing = _row(contracts["weather"], weather(5, temp=None))
    again.push("weather_by_origin", [missing])
    assert online_value(again) is None

    away = store("redis://127.0.0.1:1/0")
    with pytest.raises(UnavailableError, match="weather_by_origin"):
        away.push("weather_by_origin", rows)

    features.write_text(FEATURES.replace('name="temp"', 'name="snow"'))
    with pytest.raises(FatalBusError, match="wants snow, which are no columns"):
        store()
    path = settings.models_dir / "some_model" / "datasets" / "weather.yaml"
    path.write_text(path.read_text().replace("weather_by_origin", "weather_reports"))
    features.write_text(FEATURES)
    contracts = load_contracts(settings.models_dir)[0]
    pushed = store()
    pushed.push("weather_reports", [_row(contracts["weather"], weather(7))])
    assert online_value(pushed) == 37.0
    path.write_text(path.read_text().replace("weather_reports", "wetter"))
    contracts = load_contracts(settings.models_dir)[0]
    with pytest.raises(FatalBusError, match="known are weather_by_origin, weather_reports"):
        store()


def _row(contract, item):
    from datetime import datetime

    from ingest.domain.row import Origin, Row

    time = datetime.fromisoformat(item["event_time"])
    columns, faults = contract.check(item["entity"], time, item["record"])
    assert not faults
    assert time.utcoffset() == timedelta(0)
    return Row(f"e-{time}", item["entity"], time, columns, Origin(0, 0, 0))
