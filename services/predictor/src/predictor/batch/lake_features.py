"""Stored features as they were at a moment, out of the tables that feature views are made of."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from predictor.adapters.features.feast_registry import Column, FeastRegistry
from predictor.batch.delta_rows import open_existing
from predictor.domain.errors import LoadError
from predictor.domain.features import Cell, Ref, Value
from stores.delta import ID, TIME, outages
from stores.history import History
from stores.storage import StorageUri, inside


class LakeFeatures:
    """Holds the columns that a version needs, from the beginning to the last moment."""

    def __init__(self, registry: FeastRegistry, lake_uri: StorageUri) -> None:
        self._registry = registry
        self._lake_uri = lake_uri
        self._columns: dict[str, Column] = {}
        self._fields: dict[str, dict[str, list[str]]] = {}
        """What is looked up, by join key and view."""
        self._histories: dict[str, History] = {}

    def warm_up(self) -> None:
        """See `OnlineFeatures.warm_up`."""
        self._registry.warm_up()

    def prepare(self, lookups: Mapping[str, Sequence[Ref]]) -> None:
        """See `OnlineFeatures.prepare`."""
        self._columns |= self._registry.columns(lookups)
        for join_key, refs in lookups.items():
            views = self._fields.setdefault(join_key, {})
            for view, field in refs:
                fields = views.setdefault(view, [])
                if field not in fields:  # another version may look it up as well
                    fields.append(field)

    def read(self, last: float) -> None:
        """Read the tables.

        Args:
            last: the last moment that is asked for, in seconds since 1970.

        Raises:
            LoadError: a table lacks a column.
            UnavailableError: the lake is away.
        """
        views: dict[str, tuple[str, set[str]]] = {}
        for join_key, looked_up in self._fields.items():
            for view, fields in looked_up.items():
                views.setdefault(view, (join_key, set()))[1].update(fields)
        for view, (join_key, fields) in views.items():
            column = self._columns[join_key].name
            self._histories[view] = self._history(view, column, sorted(fields), last)

    def as_of(self, join_key: str, value: Value, moment: float) -> Mapping[Ref, Cell]:
        """The newest cells at or before a moment, of the row that a join key's value finds."""
        found: dict[Ref, Cell] = {}
        key = self._columns[join_key].key(value)
        for view, fields in self._fields[join_key].items():
            history = self._histories[view]
            at = history.newest(key, moment)
            if at is not None:
                written = history.times[at]
                for field in fields:
                    found[view, field] = history.columns[field][at].as_py(), written
        return found

    def columns_as_of(
        self, join_key: str, values: Sequence[Value], moments: Sequence[float | None]
    ) -> Mapping[Ref, tuple[Any, np.ndarray]]:
        """The cells that `as_of` finds, for many values, each at its moment.

        Returns:
            An Arrow array of each field, null where nothing is known, and when its cells were
            written, in seconds since 1970, NaN where nothing is known.
        """
        import pyarrow as pa

        key_of = {value: self._columns[join_key].key(value) for value in set(values)}
        keys = [key_of[value] for value in values]
        found: dict[Ref, tuple[Any, np.ndarray]] = {}
        for view, fields in self._fields[join_key].items():
            history = self._histories[view]
            places = history.places(keys, moments)
            written = np.array([None if at is None else history.times[at] for at in places], float)
            rows = pa.array(places, pa.int64())
            for field in fields:
                found[view, field] = history.columns[field].take(rows), written
        return found

    def _history(self, view: str, key: str, fields: Sequence[str], last: float) -> History:
        import pyarrow.dataset as ds

        source = self._registry.source(view)
        uri = inside(self._lake_uri, source.dataset)
        lake_name = {new: old for old, new in source.field_mapping.items()}
        names = {name: lake_name.get(name, name) for name in (key, *fields)}
        table = open_existing(uri)
        with outages(uri, damage=True):
            dataset: Any = table.to_pyarrow_dataset()
            known = set(dataset.schema.names)
            if missing := sorted({TIME, *names.values()} - known):
                raise LoadError(
                    "features",
                    f"{uri}, behind feature view {view}, has no column {', '.join(missing)}",
                )
            rows = dataset.to_table(
                columns=list(dict.fromkeys([TIME, *({ID} & known), *names.values()])),
                filter=ds.field(TIME) <= _moment(last, dataset.schema.field(TIME).type),
            )
        return History(rows, names[key], {field: names[field] for field in fields})


def _moment(seconds: float, kind: Any) -> Any:
    from datetime import UTC, datetime

    import pyarrow

    return pyarrow.scalar(
        datetime.fromtimestamp(seconds, UTC), pyarrow.timestamp("us", "UTC")
    ).cast(kind)
