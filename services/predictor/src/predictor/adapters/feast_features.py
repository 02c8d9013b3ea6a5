"""Reads stored features through Feast from Redis, asynchronously."""

import asyncio
import json
import logging
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from predictor.domain.batching import Lookup
from predictor.domain.errors import LoadError
from predictor.domain.features import Cell, Ref, Stored, Value
from servicekit.errors import UnavailableError

log = logging.getLogger(__name__)


class NoFeatures:
    """Stands where no feature repository is set: only models without stored features load."""

    def warm_up(self) -> None:
        """Nothing to import."""

    def prepare(self, lookups: Mapping[str, Sequence[Ref]]) -> None:
        """See `OnlineFeatures.prepare`."""
        if lookups:
            views = sorted({view for refs in lookups.values() for view, _ in refs})
            raise LoadError(
                "features",
                f"the version needs {', '.join(views)} from the feature store:"
                " set FEAST_REPO to the folder of its registry",
            )

    async def read(self, wanted: Mapping[str, Lookup]) -> Stored:
        """See `OnlineFeatures.read`."""
        raise UnavailableError("there is no feature store: FEAST_REPO is not set")

    async def close(self) -> None:
        """Nothing to let go of."""


class FeastOnlineFeatures:
    """A Feast store over `<repo>/registry.db` and Redis."""

    def __init__(self, repo: Path, redis_url: str, project: str = "tailrace") -> None:
        """Knows where to look.

        Args:
            repo: folder that holds `registry.db`.
            redis_url: `redis://[[user]:password@]host:port[/db]`, or `rediss://` for TLS.
            project: the Feast project.
        """
        self._repo = repo
        self._connection = connection_string(redis_url)
        self._project = project
        self._store: Any = None
        self._keys: dict[str, _Key] = {}
        """How the store finds a row, by the request feature that names it."""
        self._lock = threading.Lock()

    def warm_up(self) -> None:
        """See `OnlineFeatures.warm_up`."""
        import feast.infra.online_stores.redis  # noqa: F401  Feast imports it by its name

    def prepare(self, lookups: Mapping[str, Sequence[Ref]]) -> None:
        """See `OnlineFeatures.prepare`."""
        if not lookups:
            return
        with self._lock:
            store = self._store or self._open()
            try:
                # Never refreshed by a request: it would make that request wait.
                store.refresh_registry()
                keys = {
                    join_key: self._key(store, join_key, refs) for join_key, refs in lookups.items()
                }
            except (LoadError, UnavailableError):
                raise
            except Exception as error:
                raise UnavailableError(f"the Feast registry cannot be read: {error}") from error
            self._keys = {**self._keys, **keys}
            self._store = store

    def _open(self) -> Any:
        registry = self._repo / "registry.db"
        if not registry.exists():
            raise UnavailableError(f"{registry} is not there yet: ingest writes it at its start")
        from feast import FeatureStore, RepoConfig

        config = RepoConfig(
            project=self._project,
            provider="local",
            registry={"path": str(registry), "cache_ttl_seconds": 0},
            online_store={"type": "redis", "connection_string": self._connection},
            entity_key_serialization_version=3,
        )
        return FeatureStore(config=config)

    def _key(self, store: Any, join_key: str, refs: Sequence[Ref]) -> "_Key":
        from feast.errors import FeatureViewNotFoundException
        from feast.value_type import ValueType

        columns = {}
        for view_name in dict.fromkeys(view for view, _ in refs):
            try:
                view = store.get_feature_view(view_name)
            except FeatureViewNotFoundException as error:
                raise UnavailableError(
                    f"feature view {view_name} is not in the registry yet"
                ) from error
            fields = {field.name for field in view.features}
            if unknown := sorted({f for v, f in refs if v == view_name} - fields):
                raise LoadError(
                    "features",
                    f"feature view {view_name} has no {', '.join(unknown)}; it has"
                    f" {', '.join(sorted(fields))}",
                )
            if len(view.entity_columns) != 1:
                raise LoadError(
                    "features", f"feature view {view_name} has {len(view.entity_columns)} join keys"
                )
            column = view.entity_columns[0]
            columns[column.name] = column.dtype.to_value_type()
        if len(columns) != 1:
            raise LoadError(
                "features", f"join key {join_key} would find rows by {', '.join(columns)} at once"
            )
        (column, kind) = next(iter(columns.items()))
        integers = (ValueType.INT32, ValueType.INT64)
        return _Key(column, kind in integers)

    async def read(self, wanted: Mapping[str, Lookup]) -> Stored:
        """See `OnlineFeatures.read`; one call to Feast a join key."""
        if len(wanted) == 1:
            ((join_key, lookup),) = wanted.items()
            return await self._read(join_key, lookup)
        parts = await asyncio.gather(*(self._read(key, lookup) for key, lookup in wanted.items()))
        return {where: cells for part in parts for where, cells in part.items()}

    async def _read(self, join_key: str, lookup: Lookup) -> dict[tuple[str, Value], dict]:
        key = self._keys[join_key]
        values = list(lookup.values)
        try:
            response = await self._store.get_online_features_async(
                features=[f"{view}:{field}" for view, field in lookup.refs],
                entity_rows={key.column: [key.native(value) for value in values]},
                full_feature_names=True,
            )
        except Exception as error:  # redis, its timeouts, and whatever Feast makes of them
            raise UnavailableError(f"reading {join_key} from the feature store: {error}") from error
        columns = response.to_dict(include_event_timestamps=True)
        found: dict[tuple[str, Value], dict[Ref, Cell]] = {
            (join_key, value): {} for value in values
        }
        for view, field in lookup.refs:
            name = f"{view}__{field}"
            for value, cell, written_at in zip(
                values, columns[name], columns[f"{name}__ts"], strict=True
            ):
                # Feast calls a row that it does not have PRESENT, with no value and time 0.
                if cell is not None and written_at:
                    found[join_key, value][view, field] = Cell(cell, written_at)
        return found

    async def close(self) -> None:
        """See `OnlineFeatures.close`."""
        if self._store is not None:
            await self._store.close()


class _Key:
    """Name and type of the column by which the store finds a row."""

    __slots__ = ("_integer", "column")

    def __init__(self, column: str, integer: bool) -> None:
        self.column = column
        self._integer = integer

    def native(self, value: Value) -> Any:
        return int(value) if self._integer and value is not None else value


def connection_string(redis_url: str) -> str:
    """Feast's way to write a Redis URL: `host:port,db=0,password="…"`.

    Raises:
        ValueError: it is no Redis URL, or its password has a comma, which Feast cannot carry.
    """
    url = urlsplit(redis_url)
    if url.scheme not in ("redis", "rediss") or not url.hostname:
        raise ValueError(
            f"REDIS_URL starts with {url.scheme or 'no scheme'!r}: write redis://host:port/db"
        )
    if "," in unquote(url.password or "") or "," in unquote(url.username or ""):
        raise ValueError("REDIS_URL has a comma in its user or password, which Feast cannot carry")
    parts = [f"{url.hostname}:{url.port or 6379}", f"db={url.path.strip('/') or 0}"]
    if url.scheme == "rediss":
        parts.append("ssl=true")
    if url.username:
        parts.append(f"username={json.dumps(unquote(url.username))}")
    if url.password:
        parts.append(f"password={json.dumps(unquote(url.password))}")
    # An answer later than this is worth nothing to a request.
    parts += ["socket_connect_timeout=1", "socket_timeout=1"]
    return ",".join(parts)
