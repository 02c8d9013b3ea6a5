"""Feast: definitions into the registry, rows into the online store (Redis protocol).

Importing Feast takes seconds, so it happens when the store is opened.
"""

import hashlib
import importlib.util
import sys
from collections.abc import Iterable, Sequence
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from ingest.domain.contract import Contract, Kind
from ingest.domain.row import Row
from servicekit.errors import FatalBusError, UnavailableError
from stores.feast import CodeInRegistryError, redis_online_store, registry_of, repo_config
from stores.storage import StorageUri

if TYPE_CHECKING:
    from feast import FeatureStore, FeatureView

_DTYPES: dict[Kind, str] = {
    "string": "object",
    "number": "float64",
    "integer": "Int64",
    "boolean": "boolean",
    "timestamp": "datetime64[us, UTC]",
}
"""Types of pandas that hold a missing value; by the data alone, a column without any has none."""


class FeastOnline:
    """Pushes rows into feature views.

    Args:
        repo: place of `registry.db`.
        redis_url: where the online store is.
        definitions: Python files whose module-level Feast objects are applied.
        contracts: datasets whose `feature_view` must exist, with columns for its fields.
    """

    def __init__(
        self,
        repo: StorageUri,
        redis_url: SecretStr,
        definitions: Sequence[Path],
        contracts: Iterable[Contract] = (),
    ) -> None:
        self._repo = repo
        self._redis_url = redis_url
        self._definitions = definitions
        self._contracts = [c for c in contracts if c.feature_view]
        self._store: FeatureStore | None = None
        self._views: dict[str, list[FeatureView]] = {}
        self._join_keys: dict[str, list[str]] = {}
        self._dtypes: dict[str, dict[str, str]] = {}

    def open(self) -> None:
        """Apply the definitions and find each view; safe to repeat.

        Raises:
            FatalBusError: a definition is wrong, or a contract does not fit its view.
        """
        if self._store is not None:
            return
        from feast import Entity, FeatureService, FeatureStore, FeatureView, OnDemandFeatureView
        from feast.data_source import DataSource

        try:
            online_store = redis_online_store(
                self._redis_url.get_secret_value(), timeout_seconds=None
            )
        except ValueError as error:
            raise FatalBusError(str(error)) from error
        registry = registry_of(self._repo)
        if "://" not in registry:
            Path(registry).parent.mkdir(parents=True, exist_ok=True)
        store = FeatureStore(config=repo_config(self._repo, online_store))
        kinds = (DataSource, Entity, FeatureView, OnDemandFeatureView, FeatureService)
        objects: dict[int, Any] = {}
        for path in self._definitions:
            for value in vars(_module(path)).values():
                if isinstance(value, kinds):
                    objects[id(value)] = value
        try:
            if objects:
                store.apply(list(objects.values()))
            views = store.list_feature_views()
        except CodeInRegistryError as error:
            raise FatalBusError(str(error)) from error
        for contract in self._contracts:
            self._require_fit(store, contract, views)
        self._store = store

    def push(self, view: str, rows: Sequence[Row]) -> None:
        """See `OnlineStore.push`; Feast skips a row that is not newer than the stored one."""
        self.open()
        assert self._store is not None  # noqa: S101 - open() made it
        import pandas as pd
        from redis.exceptions import ConnectionError as RedisConnectionError
        from redis.exceptions import RedisError

        for feature_view in self._views[view]:
            times = [row.event_time for row in rows]
            data: dict[str, Any] = {"event_time": pd.to_datetime(times, utc=True)}
            keys = self._join_keys[feature_view.name]
            for name in (*keys, *(field.name for field in feature_view.features)):
                dtype = self._dtypes[view].get(name, "object")
                data[name] = pd.Series(_column(name, rows), dtype=dtype)
            stamp = _timestamp_field(feature_view)
            frame = pd.DataFrame(data).rename(columns={"event_time": stamp})
            # Redis takes the rows of one write in order, whatever their age: leave the newest.
            frame = frame.sort_values(stamp, kind="stable").drop_duplicates(keys, keep="last")
            try:
                # Not write_to_online_store: it leaves a frame out that holds nothing but missing
                # values, and the values of an older report would stay.
                self._store._get_provider().ingest_df(feature_view, frame)
            except (RedisConnectionError, RedisError, OSError) as error:
                raise UnavailableError(
                    f"online store, feature view {feature_view.name}: {error}"
                ) from error

    def _require_fit(
        self, store: "FeatureStore", contract: Contract, views: "Sequence[FeatureView]"
    ) -> None:
        """Raise FatalBusError when a contract names no view, or lacks a column of its view."""
        name = contract.feature_view or ""
        fed = [
            view
            for view in views
            if view.name == name or getattr(view.stream_source, "name", None) == name
        ]
        if not fed:
            known = {v.name for v in views} | {
                v.stream_source.name for v in views if v.stream_source
            }
            raise FatalBusError(
                f"dataset {contract.dataset}: feature_view: {name!r} is no feature view and no push"
                f" source; known are {', '.join(sorted(known)) or 'none'}:"
                " define it in features.py"
            )
        for view in fed:
            keys = [store.get_entity(entity).join_key for entity in view.entities]
            wanted = {*keys, *(field.name for field in view.features)}
            if missing := wanted - contract.names - {"entity"}:
                raise FatalBusError(
                    f"dataset {contract.dataset}: feature view {view.name} wants"
                    f" {', '.join(sorted(missing))}, which are no columns of the contract: add them"
                )
            self._join_keys[view.name] = keys
        self._views[name] = fed
        self._dtypes[name] = {column.name: _DTYPES[column.kind] for column in contract.columns}


class _FromSource(SourceFileLoader):
    """Compiles the file as it is now: cached bytecode is told apart by size and second alone."""

    def get_code(self, fullname: str) -> CodeType:
        return self.source_to_code(self.get_data(self.path), self.path)


def _module(path: Path) -> ModuleType:
    """The user's file as a module of its own name, so that two `features.py` do not collide."""
    name = f"tailrace_features_{hashlib.sha256(str(path.absolute()).encode()).hexdigest()[:12]}"
    loader = _FromSource(name, str(path))
    spec = importlib.util.spec_from_loader(name, loader)
    assert spec is not None  # noqa: S101 - a loader was given
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise FatalBusError(f"{path}: {type(error).__name__}: {error}") from error
    return module


def _timestamp_field(view: "FeatureView") -> str:
    source = view.batch_source
    return (source.timestamp_field if source else "") or "event_time"


def _column(name: str, rows: Sequence[Row]) -> list[Any]:
    if rows and name not in rows[0].columns and name == "entity":
        return [row.entity for row in rows]
    return [row.columns[name] for row in rows]
