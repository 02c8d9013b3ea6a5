"""Reads stored features through Feast, asynchronously."""

import asyncio
from collections.abc import Mapping, Sequence

from predictor.adapters.features.feast_registry import Column, FeastRegistry
from predictor.domain.batching import Lookup
from predictor.domain.errors import LoadError
from predictor.domain.features import Cell, Ref, Stored, Value
from servicekit.errors import UnavailableError


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
        """Nothing to close."""


class FeastOnlineFeatures:
    """Any online store that Feast has, through `get_online_features`."""

    def __init__(self, registry: FeastRegistry) -> None:
        self._registry = registry
        self._columns: dict[str, Column] = {}

    def warm_up(self) -> None:
        """See `OnlineFeatures.warm_up`."""
        self._registry.warm_up()

    def prepare(self, lookups: Mapping[str, Sequence[Ref]]) -> None:
        """See `OnlineFeatures.prepare`."""
        self._columns = {**self._columns, **self._registry.columns(lookups)}

    async def read(self, wanted: Mapping[str, Lookup]) -> Stored:
        """See `OnlineFeatures.read`; one call to Feast a join key."""
        if len(wanted) == 1:
            ((join_key, lookup),) = wanted.items()
            return await self._read(join_key, lookup)
        parts = await asyncio.gather(*(self._read(key, lookup) for key, lookup in wanted.items()))
        return {where: cells for part in parts for where, cells in part.items()}

    async def _read(self, join_key: str, lookup: Lookup) -> dict[tuple[str, Value], dict]:
        column = self._columns[join_key]
        found: dict[tuple[str, Value], dict[Ref, Cell]] = {
            (join_key, value): {} for value in lookup.values
        }
        keys = {value: key for value in lookup.values if (key := column.key(value)) is not None}
        if not keys:
            return found
        try:
            response = await self._registry.store.get_online_features_async(
                features=[f"{view}:{field}" for view, field in lookup.refs],
                entity_rows={column.name: list(keys.values())},
                full_feature_names=True,
            )
        except Exception as error:  # redis, its timeouts, and whatever Feast makes of them
            raise UnavailableError(f"reading {join_key} from the feature store: {error}") from error
        columns = response.to_dict(include_event_timestamps=True)
        for view, field in lookup.refs:
            name = f"{view}__{field}"
            for value, cell, written_at in zip(
                keys, columns[name], columns[f"{name}__ts"], strict=True
            ):
                # Feast calls a row that it does not have PRESENT, with no value and time 0.
                if cell is not None and written_at:
                    found[join_key, value][view, field] = cell, written_at
        return found

    async def close(self) -> None:
        """See `OnlineFeatures.close`."""
        if self._registry.store is not None:
            await self._registry.store.close()
