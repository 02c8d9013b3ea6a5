"""The rows of a training: outcomes out of the lake, stored features as they were at the time."""

import json
import logging
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from event_schemas.model import DataVersion
from event_schemas.policy import Feature
from event_schemas.task import Target
from stores.feast import CodeInRegistryError, dataset_of, registry_of, repo_config
from stores.storage import StorageUri, is_there
from stores.values import (
    FLOAT32_MAX,
    NoSuchValueError,
    categories,
    category,
    number,
    numbers,
)
from trainer.adapters.delta_table import PinnedTable, earlier, pin
from trainer.domain.failure import TrainingError
from trainer.ports import ModelDefinition, TrainingPlan

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

log = logging.getLogger(__name__)

Stage = Callable[[str], AbstractContextManager[None]]


@dataclass(frozen=True, slots=True)
class HistorySource:
    """Where history lies."""

    lake_uri: str
    feast_repo: StorageUri


@dataclass(frozen=True, slots=True)
class History:
    """Labelled rows, oldest first."""

    frame: "pd.DataFrame"
    """A column a feature: float32 for numbers (missing: NaN), str for categories (missing: "")."""
    labels: NDArray[Any]
    """Names of classes as objects, or float64."""
    times: NDArray[np.int64]
    """The moment of the prediction, in microseconds since 1970."""
    versions: tuple[DataVersion, ...]
    raw: "Mapping[str, pa.Array | pa.ChunkedArray]" = field(default_factory=dict)
    """The same rows as the lake has them: an Arrow column a feature."""


def read_history(
    source: HistorySource,
    definition: ModelDefinition,
    until: datetime,
    stage: Stage,
    also: Sequence[Feature] = (),
) -> History:
    """The labelled rows of a model up to a moment of event time.

    Args:
        source: where history lies.
        definition: the model.
        until: rows whose event time is later are not read.
        stage: measures each stage.
        also: further features that are read if the lake has them (a rival's inputs).

    Raises:
        TrainingError: a table, column, view or label is missing or of the wrong type.
        UnavailableError: the lake is away.
    """
    plan = definition.training
    with stage("read"):
        table = pin(source.lake_uri, plan.dataset)
        features = [*definition.features, *_extra(definition, also, table)]
        requested = [f for f in features if f.source == "request"]
        stored = [f for f in features if f.source == "store"]
        joins = {f.join_key for f in stored if f.join_key}
        columns = {plan.label, plan.feature_time, *(f.name for f in requested), *joins}
        _require_columns(table, columns)
        since = {"since": earlier(until, plan.window)} if plan.window else {}
        rows = table.read(sorted(columns), until=until, **since)
        rows = _newest_labelled(rows, definition, until)
        versions = [table.data_version(rows)]
    with stage("join"):
        moments = _moments(rows, plan)
        data = {f.name: rows.column(f.name) for f in requested}
        if stored and len(rows):
            joined, read = _stored_features(source, rows, moments, stored)
            data |= joined
            versions += read
        data = {f.name: data[f.name] for f in features} if len(rows) else {}
        frame = frame_of(data, features)
    times = moments.astype("datetime64[us]").astype(np.int64)
    return History(frame, _labels(rows, definition), times, tuple(versions), data)


def _extra(
    definition: ModelDefinition, also: Iterable[Feature], table: PinnedTable
) -> list[Feature]:
    names = {f.name for f in definition.features}
    views = {f.view for f in definition.features if f.source == "store"}
    return [
        f
        for f in also
        if f.name not in names
        and (f.name in table.columns if f.source == "request" else f.view in views)
    ]


def _require_columns(table: PinnedTable, columns: Iterable[str]) -> None:
    """Raise TrainingError when a table lacks a column."""
    missing = sorted(set(columns) - table.columns)
    if missing:
        raise TrainingError(
            "read",
            f"{table.uri} has no column {', '.join(missing)}, which model.yaml asks for;"
            f" it has {', '.join(sorted(table.columns))}",
        )


def _newest_labelled(rows: "pa.Table", definition: ModelDefinition, until: datetime) -> "pa.Table":
    import pyarrow
    import pyarrow.compute as pc
    from pyarrow import types

    plan = definition.training
    known = pc.field(plan.label).is_valid() & pc.field(plan.feature_time).is_valid()
    rows = rows.filter(known)
    if types.is_floating(rows.schema.field(plan.label).type):
        finite = definition.target.task == "regression"
        label = pc.field(plan.label)
        strange = label.is_nan() | label.isin([math.inf, -math.inf]) if finite else label.is_nan()
        why = f"{plan.label} is no{' finite' if finite else ''} number"
        rows = _those_that(~strange, rows, plan, why)
    kind = rows.schema.field(plan.feature_time).type
    if types.is_timestamp(kind):
        # A prediction that is asked for after all that is known decides nothing: one such row
        # would be all that a hold-out of a time holds.
        latest = pyarrow.scalar(until, pyarrow.timestamp("us", "UTC")).cast(kind)
        why = (
            f"{plan.feature_time} is later than {until.isoformat()}, up to where the training reads"
        )
        rows = _those_that(pc.field(plan.feature_time) <= latest, rows, plan, why)
    return rows.slice(max(0, len(rows) - plan.max_rows))


def _those_that(keep: Any, rows: "pa.Table", plan: TrainingPlan, why: str) -> "pa.Table":
    """The rows that an expression keeps; of the others it is told how many there are, and why."""
    found = rows.filter(keep)
    if out := len(rows) - len(found):
        log.warning("%d rows of %s are left out: their %s", out, plan.dataset, why)
    return found


def _moments(rows: "pa.Table", plan: TrainingPlan) -> Any:
    import pandas as pd
    import pyarrow.types

    column = rows.column(plan.feature_time)
    if not pyarrow.types.is_timestamp(column.type):
        raise TrainingError(
            "read",
            f"training.feature_time: {plan.feature_time} is {column.type} in {plan.dataset}, and"
            " has to be a timestamp",
        )
    return pd.to_datetime(column.to_pandas(), utc=True).dt.tz_localize(None).to_numpy()


def _labels(rows: "pa.Table", definition: ModelDefinition) -> NDArray[Any]:
    plan, target = definition.training, definition.target
    column = rows.column(plan.label)
    try:
        if target.of_names:
            return categories(column).to_numpy(zero_copy_only=False)
        found = numbers(column)
    except NoSuchValueError as error:
        raise TrainingError(
            "read",
            f"training.label: {plan.label}: {error}; {_remedy(target)}",
        ) from error
    if target.task == "regression":
        return found
    if plan.label_above is not None:
        return (found > plan.label_above).astype(np.float64)
    strange = found[(found != 0) & (found != 1)]
    if len(strange):
        raise TrainingError(
            "read",
            f"training.label: {plan.label} holds {strange[0]:g}, and has to hold 0 and 1;"
            " set training.label_above to say from where on a value is positive",
        )
    return found


def _remedy(target: Target) -> str:
    """What to do about labels that are no numbers."""
    if target.task == "regression":
        return "give a column of numbers"
    return "name its values in classes, the positive one last"


def _stored_features(
    source: HistorySource, rows: "pa.Table", moments: Any, features: Sequence[Feature]
) -> "tuple[dict[str, Any], list[DataVersion]]":
    """Values of stored features as of each row's moment, through Feast."""
    import pandas as pd

    groups: dict[tuple[str, str, float | None], list[Feature]] = defaultdict(list)
    for feature in features:
        key = feature.view or "", feature.join_key or "", feature.max_age_seconds
        groups[key].append(feature)
    registry = registry_of(source.feast_repo)
    if not is_there(registry):
        raise TrainingError("read", f"no feature registry {registry}: ingest makes it at its start")
    data: dict[str, Any] = {}
    read: dict[str, DataVersion] = {}
    for (view, join_key, _), members in groups.items():
        store, key, dataset = _feature_store(source, view, members)
        entities = pd.DataFrame(
            {
                # Objects, since pandas makes floats of whole numbers once one is missing.
                key: pd.Series(rows.column(join_key).to_pylist(), dtype=object),
                "event_timestamp": pd.to_datetime(moments, utc=True).astype("datetime64[us, UTC]"),
            }
        )
        fields = {f.name: f.field or f.name for f in members}
        job: Any = store.get_historical_features(
            entity_df=entities, features=sorted({f"{view}:{field}" for field in fields.values()})
        )
        data |= {name: job.columns[field] for name, field in fields.items()}
        read[dataset] = job.read[0]
    return data, list(read.values())


def _feature_store(
    source: HistorySource, view: str, members: Sequence[Feature]
) -> tuple[Any, str, str]:
    """A Feast store for one view, the view's join key, and the dataset behind it."""
    from feast import FeatureStore

    from trainer.adapters.feast_delta_store import DeltaOfflineStoreConfig

    def store(offline: Any) -> FeatureStore:
        return FeatureStore(config=repo_config(source.feast_repo, None, offline_store=offline))

    try:
        found = _view(store(DeltaOfflineStoreConfig(tables={}, max_age={})), view)
    except CodeInRegistryError as error:
        raise TrainingError("read", str(error)) from error
    known = {field.name for field in found.features}
    missing = sorted({f.field or f.name for f in members} - known)
    if missing:
        raise TrainingError(
            "read",
            f"the feature view {view} has no field {', '.join(missing)}; it has"
            f" {', '.join(sorted(known))}",
        )
    if len(found.join_keys) != 1:
        raise TrainingError("read", f"the feature view {view} needs exactly one join key")
    dataset = dataset_of(found)
    table = pin(source.lake_uri, dataset)
    _require_columns(table, known - set(found.batch_source.field_mapping.values()))
    age = members[0].max_age_seconds
    max_age = {} if age is None else {view: timedelta(seconds=age)}
    config = DeltaOfflineStoreConfig(tables={view: table}, max_age=max_age)
    return store(config), found.join_keys[0], dataset


def _view(store: Any, view: str) -> Any:
    from feast.errors import FeatureViewNotFoundException

    try:
        return store.get_feature_view(view)
    except FeatureViewNotFoundException as error:
        names = ", ".join(sorted(v.name for v in store.list_feature_views())) or "none"
        raise TrainingError(
            "read",
            f"the feature store has no view {view}, which model.yaml asks for; it has {names}:"
            " features.py defines views, and ingest applies them at its start",
        ) from error


def frame_of(data: Mapping[str, Any], features: Sequence[Feature]) -> "pd.DataFrame":
    """Arrow columns as a model takes them; what is beyond its numbers counts as missing.

    Raises:
        TrainingError: a column holds what its feature cannot take.
    """
    import pandas as pd

    columns = {f.name: _typed(data[f.name], f) if data else _nothing(f) for f in features}
    return pd.DataFrame(columns)


def _nothing(feature: Feature) -> Any:
    return np.empty(0, np.float32 if feature.kind == "number" else object)


def _typed(column: Any, feature: Feature) -> Any:
    try:
        if feature.kind == "category":
            texts = categories(column).fill_null(feature.default or "")
            return texts.to_numpy(zero_copy_only=False)
        found = numbers(column)
    except NoSuchValueError as error:
        raise TrainingError(
            "read",
            f"feature {feature.name} is a {feature.kind}, and {error}: give the column another type"
            " in its dataset's contract, or the feature another kind",
        ) from error
    missing = np.isnan(found) | (np.abs(found) > FLOAT32_MAX)
    default = np.nan if feature.default is None else feature.default
    return np.where(missing, default, found).astype(np.float32)


def as_served(
    raw: Mapping[str, Any], features: Sequence[Feature], rows: "NDArray[np.intp]"
) -> "pd.DataFrame":
    """Some rows as requests and the feature store bring them: value by value, and over JSON."""
    import pandas as pd
    import pyarrow as pa

    columns: dict[str, Any] = {}
    places = pa.array(rows, pa.int64())
    for feature in features:
        cells = raw[feature.name].take(places).to_pylist()
        values = [_served(cell, feature) for cell in cells]
        kind = np.float32 if feature.kind == "number" else object
        columns[feature.name] = np.array(values, kind)
    return pd.DataFrame(columns)


def _served(cell: Any, feature: Feature) -> Any:
    if isinstance(cell, bool | int | float):
        cell = json.loads(json.dumps(cell))
    if feature.kind == "category":
        text = category(cell)
        return (feature.default or "") if text is None else text
    found = number(cell)
    if found is None or abs(found) > FLOAT32_MAX:
        return feature.default
    return found
