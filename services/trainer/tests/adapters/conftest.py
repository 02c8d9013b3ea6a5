"""A small lake, a Feast registry over it, and a model folder: real formats, synthetic rows."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from stores.feast import repo_config
from trainer.adapters.delta_history import HistorySource

START = datetime(2013, 1, 1, tzinfo=UTC)

PIPELINE = """
import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OrdinalEncoder

def build_pipeline(seed):
    encode = OrdinalEncoder(
        handle_unknown="use_encoded_value", unknown_value=-1, dtype=np.float32
    )
    columns = ColumnTransformer(
        [("c", encode, ["harbour"]), ("n", "passthrough", ["hour", "wind"])]
    )
    trees = HistGradientBoostingClassifier(max_iter=20, random_state=seed, early_stopping=False)
    return Pipeline([("columns", columns), ("trees", trees)])
"""


@dataclass(frozen=True)
class Ferries:
    """Everything that a training of `late_ferry` reads."""

    source: HistorySource
    models: Path

    @property
    def folder(self) -> Path:
        return self.models / "late_ferry"


@pytest.fixture(scope="session")
def lake(tmp_path_factory: pytest.TempPathFactory) -> HistorySource:
    """2,000 crossings of 40 days in harbours A and B; wind above 10 makes them late, mostly.

    Crossings land two hours after they leave, and their rows lie in two versions of the table.
    """
    import numpy as np
    import pandas as pd
    import pyarrow as pa
    from deltalake import write_deltalake

    root = tmp_path_factory.mktemp("lake")
    rng = np.random.default_rng(1)
    hours = pd.date_range(START, periods=24 * 40, freq="h", unit="us")
    weather = pd.DataFrame(
        [(h, p) for h in hours for p in ("A", "B")], columns=["event_time", "harbour"]
    )
    weather["wind"] = rng.gamma(4, 2, len(weather))
    weather["event_id"] = [f"w{i}" for i in range(len(weather))]
    leaves = START + pd.to_timedelta(np.sort(rng.uniform(0, 40 * 24 * 3600, 2000)), unit="s")
    ferries = pd.DataFrame(
        {
            "event_id": [f"f{i}" for i in range(2000)],
            "leaves": pd.DatetimeIndex(leaves).as_unit("us"),
            "harbour": rng.choice(["A", "B"], 2000),
        }
    )
    ferries["event_time"] = ferries["leaves"] + pd.Timedelta(hours=2)
    ferries["hour"] = ferries["leaves"].dt.hour.astype(float)
    hourly = weather.set_index(["event_time", "harbour"])["wind"]
    now = hourly.loc[list(zip(ferries["leaves"].dt.floor("h"), ferries["harbour"], strict=True))]
    late = rng.random(2000) < np.where(now.to_numpy() > 10, 0.8, 0.1)
    ferries["minutes_late"] = np.where(late, 30.0, 2.0)
    ferries.loc[::100, "minutes_late"] = np.nan  # cancelled: no outcome
    ferries.loc[::7, "hour"] = np.nan
    for part in (ferries[1000:], ferries[:1000]):
        table = pa.Table.from_pandas(part, preserve_index=False)
        write_deltalake(str(root / "ferries"), table, mode="append")
    write_deltalake(
        str(root / "weather"), pa.Table.from_pandas(weather, preserve_index=False), mode="append"
    )
    return HistorySource(str(root), tmp_path_factory.mktemp("feast"))


@pytest.fixture(scope="session")
def store(lake: HistorySource) -> HistorySource:
    """The lake, with a Feast registry that holds the view `weather`, as ingest applies it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Feast's imports warn of other people's deprecations
        from feast import Entity, FeatureStore, FeatureView, Field, FileSource, PushSource
        from feast.data_format import DeltaFormat
        from feast.types import Float64
        from feast.value_type import ValueType

        harbour = Entity(name="harbour", join_keys=["harbour"], value_type=ValueType.STRING)
        batch = FileSource(
            name="weather_table",
            path=f"{lake.lake_uri}/weather",
            file_format=DeltaFormat(),
            timestamp_field="event_time",
        )
        view = FeatureView(
            name="weather",
            entities=[harbour],
            ttl=timedelta(days=365),
            schema=[Field(name="wind", dtype=Float64)],
            source=PushSource(name="weather_push", batch_source=batch),
        )
        config = repo_config(lake.feast_repo, None)
        FeatureStore(config=config).apply([harbour, batch, view])
    return lake


@pytest.fixture
def ferries(store: HistorySource, tmp_path: Path) -> Ferries:
    """A fresh model folder over the lake."""
    found = Ferries(store, tmp_path / "models")
    found.folder.mkdir(parents=True)
    (found.folder / "pipeline.py").write_text(PIPELINE)
    (found.folder / "model.yaml").write_text(
        yaml.safe_dump(
            {
                "model": "late_ferry",
                "features": [
                    {"name": "harbour", "kind": "category", "source": "request"},
                    {"name": "hour", "kind": "number", "source": "request"},
                    {
                        "name": "wind",
                        "kind": "number",
                        "source": "store",
                        "view": "weather",
                        "join_key": "harbour",
                        "max_age_seconds": 7200,
                    },
                ],
                "training": {
                    "dataset": "ferries",
                    "label": "minutes_late",
                    "label_above": 15,
                    "feature_time": "leaves",
                    "min_rows": 100,
                    "seed": 3,
                },
                "gate": {"min_rows": 100},
            }
        )
    )
    return found


Edit = Callable[..., None]


@pytest.fixture
def edit(ferries: Ferries) -> Edit:
    """Changes single keys of model.yaml: `edit(training={"seed": 4})`."""

    def change(**sections) -> None:
        path = ferries.folder / "model.yaml"
        document = yaml.safe_load(path.read_text())
        for name, values in sections.items():
            document[name] = values if isinstance(values, list) else document[name] | values
        path.write_text(yaml.safe_dump(document))

    return change
