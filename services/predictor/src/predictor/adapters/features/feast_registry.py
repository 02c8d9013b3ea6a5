"""What a Feast registry says about the stored features of a version."""

import re
import threading
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from predictor.domain.errors import LoadError
from predictor.domain.features import Ref, Value
from servicekit.errors import UnavailableError
from stores.feast import PROJECT, dataset_of, registry_of, repo_config
from stores.storage import StorageUri, is_there
from stores.values import key as as_key

_LONE_SURROGATE = re.compile("[\ud800-\udfff]")
_BITS = {"INT32": 32, "INT64": 64}


class Column(NamedTuple):
    """The column by which the store finds a row, and its type as Feast names it."""

    name: str
    kind: str

    def key(self, value: Value) -> str | int | None:
        """A request's value as one of this column; None when no row can have it.

        A value that no row can have is one caller's affair: it must not fail the batch.
        """
        bits = _BITS.get(self.kind)
        found = as_key(value, whole=bits is not None)
        if isinstance(found, str):
            return None if _LONE_SURROGATE.search(found) else found
        if found is None or bits is None:
            return None
        return found if -(1 << bits - 1) <= found < 1 << bits - 1 else None


class Source(NamedTuple):
    """The table that a feature view is made of."""

    dataset: str
    field_mapping: Mapping[str, str]
    """Names of the view by the table's, where they differ."""


class FeastRegistry:
    """The registry at `<repo>/registry.db`, which ingest writes."""

    def __init__(
        self, repo: StorageUri, online_store: Mapping[str, Any], project: str = PROJECT
    ) -> None:
        self._repo = repo
        self._online_store = online_store
        self.project = project
        self._store: Any = None
        self._lock = threading.Lock()

    @property
    def store(self) -> Any:
        """The `feast.FeatureStore`; None before the first columns were asked for."""
        return self._store

    def warm_up(self) -> None:
        """Import what the first version would wait for; takes seconds."""
        import feast.infra.online_stores.redis  # noqa: F401  Feast imports it by its name

    def columns(self, lookups: Mapping[str, Sequence[Ref]]) -> dict[str, Column]:
        """How to find the rows of each lookup; blocks.

        Args:
            lookups: view and field of each feature, by join key.

        Raises:
            LoadError: there is no such field, or rows cannot be found by one column.
            UnavailableError: the registry cannot be read, or lacks the view as yet.
        """
        if not lookups:
            return {}
        with self._lock:
            try:
                store = self._store or self._open()
                # Never refreshed by a request: it would make that request wait.
                store.refresh_registry()
                columns = {key: _column(store, key, refs) for key, refs in lookups.items()}
            except (LoadError, UnavailableError):
                raise
            except Exception as error:
                raise UnavailableError(f"the Feast registry cannot be read: {error}") from error
            self._store = store
            return columns

    def source(self, view: str) -> Source:
        """The table behind a view that `columns` has found."""
        found = self._store.get_feature_view(view)
        return Source(dataset_of(found), dict(found.batch_source.field_mapping))

    def _open(self) -> Any:
        registry = registry_of(self._repo)
        # Opening one that is not there would make an empty one, over ingest's.
        if not is_there(registry):
            raise UnavailableError(f"{registry} is not there yet: ingest writes it at its start")
        from feast import FeatureStore

        return FeatureStore(config=repo_config(self._repo, self._online_store, self.project))


def _column(store: Any, join_key: str, refs: Sequence[Ref]) -> Column:
    from feast.errors import FeatureViewNotFoundException

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
        columns[column.name] = column.dtype.to_value_type().name
    if len(columns) != 1:
        raise LoadError(
            "features", f"join key {join_key} would find rows by {', '.join(columns)} at once"
        )
    return Column(*next(iter(columns.items())))
