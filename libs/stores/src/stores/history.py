"""The point-in-time join: which row of a table was the newest of its key at a moment.

A training and a batch scoring ask the same history, so that a model is scored with the values that
it would have been trained on.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from stores.delta import ID, TIME, seconds
from stores.values import key as as_key


class History:
    """The rows of a table by key, and by time within one key.

    Of two rows of one key and one moment, the one with the later id counts. A row without a key is
    left out.

    Args:
        rows: a `pyarrow.Table`.
        key: column of the key.
        fields: the column of each field.
    """

    def __init__(self, rows: Any, key: str, fields: Mapping[str, str]) -> None:
        import pyarrow.compute as pc
        from pyarrow import types

        self._whole = types.is_integer(rows.schema.field(key).type)
        rows = rows.filter(pc.field(key).is_valid())
        order = [name for name in (key, TIME, ID) if name in rows.column_names]
        rows = rows.sort_by([(name, "ascending") for name in order])
        self.times = seconds(rows[TIME])
        """Seconds since 1970."""
        self.columns = {name: rows[column].combine_chunks() for name, column in fields.items()}
        """An Arrow array of each field."""
        self._spans: dict[Any, tuple[int, int]] = {}
        if not len(rows):
            return
        begin = 0
        keys = rows[key].combine_chunks()
        runs: Any = pc.run_end_encode(keys)  # pyright: ignore[reportAttributeAccessIssue]
        for value, end in zip(runs.values.to_pylist(), runs.run_ends.to_pylist(), strict=True):
            self._spans[value], begin = (begin, end), end

    def newest(self, key: Any, moment: float) -> int | None:
        """The place of the newest row of a key at or before a moment; None where there is none.

        A key is taken as the column has it, exact: see `event_schemas.values`.
        """
        if type(key) is not str or self._whole:
            key = as_key(key, whole=self._whole)
        begin, end = self._spans.get(key, (0, 0))
        at = bisect_right(self.times, moment, begin, end) - 1
        return at if at >= begin else None

    def places(
        self, keys: Iterable[Any], moments: Sequence[float | None], max_age: timedelta | None = None
    ) -> list[int | None]:
        """The place that `newest` finds for each key at its moment.

        Args:
            keys: of the rows that are asked for.
            moments: seconds since 1970; there is no place at None.
            max_age: age from which a row no longer counts; None: however old it is.
        """
        found = [
            None if moment is None else self.newest(key, moment)
            for key, moment in zip(keys, moments, strict=True)
        ]
        if max_age is None:
            return found
        seconds = max_age.total_seconds()
        return [
            None if at is None or moment is None or moment - self.times[at] > seconds else at
            for at, moment in zip(found, moments, strict=True)
        ]
