"""What Feast would run while it reads a registry is refused before Feast sees it."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stores.feast import CodeInRegistryError, registry_of, repo_config

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore"),  # Feast and what it imports warn about themselves.
]


class Run:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.folder),)


def on_demand(registry: Any, code: bytes) -> None:
    spec = registry.on_demand_feature_views.add().spec
    spec.name, spec.project = "view", "tailrace"
    spec.feature_transformation.user_defined_function.body = code


def old_on_demand(registry: Any, code: bytes) -> None:
    spec = registry.on_demand_feature_views.add().spec
    spec.name, spec.project = "view", "tailrace"
    spec.user_defined_function.body = code


def stream(registry: Any, code: bytes) -> None:
    spec = registry.stream_feature_views.add().spec
    spec.name, spec.project = "view", "tailrace"
    spec.user_defined_function.body = code


def batch(registry: Any, code: bytes) -> None:
    spec = registry.feature_views.add().spec
    spec.name, spec.project = "view", "tailrace"
    spec.feature_transformation.user_defined_function.body = code


def source_only(registry: Any, code: bytes) -> None:
    spec = registry.feature_views.add().spec
    spec.name, spec.project = "view", "tailrace"
    spec.feature_transformation.user_defined_function.body_text = "def f(x): return x"


def substrait(registry: Any, code: bytes) -> None:
    spec = registry.feature_views.add().spec
    spec.feature_transformation.substrait_transformation.ibis_function = code


def profiler(registry: Any, code: bytes) -> None:
    registry.validation_references.add().ge_profiler.profiler.body = code


def older_version(registry: Any, code: bytes) -> None:
    from feast.protos.feast.core.FeatureView_pb2 import FeatureView

    view = FeatureView()
    view.spec.feature_transformation.user_defined_function.body = code
    record = registry.feature_view_version_history.records.add()
    record.feature_view_type, record.feature_view_proto = (
        "feature_view",
        view.SerializeToString(),
    )


def older_on_demand(registry: Any, code: bytes) -> None:
    record = registry.feature_view_version_history.records.add()
    record.feature_view_type, record.feature_view_proto = "on_demand_feature_view", code


def foreign_class(registry: Any, code: bytes) -> None:
    registry.data_sources.add().data_source_class_type = "antigravity.DataSource"


@pytest.mark.parametrize(
    "plant",
    [
        on_demand,
        old_on_demand,
        stream,
        batch,
        source_only,
        substrait,
        profiler,
        older_version,
        older_on_demand,
        foreign_class,
    ],
    ids=lambda plant: plant.__name__,
)
def test_fault_1_4_code_in_a_registry_is_refused_and_not_run(
    plant: Callable[[Any, bytes], None], tmp_path: Path
) -> None:
    from feast import FeatureStore
    from feast.protos.feast.core.Registry_pb2 import Registry

    ran = tmp_path / "ran"
    registry = Registry()
    registry.registry_schema_version = "1"
    plant(registry, pickle.dumps(Run(ran)))
    Path(registry_of(str(tmp_path))).write_bytes(registry.SerializeToString())
    with pytest.raises(CodeInRegistryError, match=r"the Feast registry (holds|names)"):
        FeatureStore(config=repo_config(str(tmp_path), None)).list_all_feature_views()
    assert not ran.exists()


def test_fault_1_4_a_transformation_is_not_written_and_plain_views_are(tmp_path: Path) -> None:
    import pandas as pd
    from feast import Entity, FeatureStore, FeatureView, Field, FileSource
    from feast.on_demand_feature_view import on_demand_feature_view
    from feast.types import Float64
    from feast.value_type import ValueType

    origin = Entity(name="origin", join_keys=["origin"], value_type=ValueType.STRING)
    view = FeatureView(
        name="weather",
        entities=[origin],
        schema=[Field(name="wind", dtype=Float64)],
        source=FileSource(name="weather", path="weather.parquet", timestamp_field="event_time"),
    )

    @on_demand_feature_view(sources=[view], schema=[Field(name="twice", dtype=Float64)])
    def doubled(frame: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"twice": frame["wind"] * 2})

    def store() -> FeatureStore:
        return FeatureStore(config=repo_config(str(tmp_path), None))

    for _ in range(2):  # the second time, there are older versions
        store().apply([origin, view])
    assert [each.name for each in store().list_feature_views()] == ["weather"]
    with pytest.raises(CodeInRegistryError, match="holds code"):
        store().apply([origin, view, doubled])
    assert [each.name for each in store().list_all_feature_views()] == ["weather"]
