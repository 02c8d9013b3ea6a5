"""What a model sees of a table: the rows that requests with the same values would have."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from predictor.batch.lake_features import LakeFeatures
from predictor.domain.errors import RefusalError
from predictor.domain.features import (
    Cell,
    Gap,
    Input,
    Ref,
    Signature,
    Stored,
    Value,
)
from stores.values import FLOAT32_MAX, NoSuchValueError, categories, numbers

Row = Sequence[Value]


class TableRows:
    """Makes rows out of batches of a table.

    Most rows have all of their values, of the right types and in the model's range. Those are made
    a column at a time; only the others go through `Signature`, one by one, for what is missing and
    what is wrong.

    Args:
        columns: where the table has each feature, if it has it.
        time_column: when each row is asked about.
        features: where stored features come from; None: from columns of the table.
    """

    def __init__(
        self, columns: Mapping[str, str], time_column: str, features: LakeFeatures | None
    ) -> None:
        self._columns = columns
        self._time_column = time_column
        self._features = features
        self.gaps: Counter[tuple[str, str]] = Counter()
        """Stored values that a model did not get, by feature and reason."""

    def of(
        self, signature: Signature, batch: Any, moments: Sequence[float | None]
    ) -> list[Row | RefusalError]:
        """The model's row for each row of a `pyarrow.RecordBatch`, or why there is none.

        The moments are in seconds since 1970; None where the time of a row is null.
        """
        whole, rows = self._by_column(signature, batch, moments)
        made: list[Row | RefusalError] = list(rows)
        others = np.flatnonzero(~whole)
        if len(others):
            rest, at_moments = batch.take(others), [moments[at] for at in others.tolist()]
            by_row = self._by_row(signature, rest, at_moments)
            for at, row in zip(others.tolist(), by_row, strict=True):
                made[at] = row
        return made

    def _by_column(
        self, signature: Signature, batch: Any, moments: Sequence[float | None]
    ) -> tuple[np.ndarray, Iterator[Row]]:
        """Which rows are whole, and all rows; those that are not whole mean nothing."""
        asked = np.array(moments, float)  # None becomes NaN
        whole = ~np.isnan(asked)
        values: dict[str, Sequence[Value]] = {}
        for each in signature.inputs:
            if each.stored and self._features is not None:
                continue
            column = self._columns[each.name]
            if column in batch.schema.names:
                exact = each.name in signature.keys
                values[each.name], fine = _usable(each, batch.column(column), exact=exact)
                whole &= fine
            else:
                values[each.name] = [each.default] * batch.num_rows
                whole &= not each.stored  # whose gaps are counted
        known = {}
        if self._features is not None:
            for join_key in signature.lookups:
                known[join_key] = self._features.columns_as_of(join_key, values[join_key], moments)
        for each in signature.inputs:
            if each.stored and each.join_key in known:
                column, written = known[each.join_key][each.view, each.field]
                values[each.name], fine = _usable(each, column)
                whole &= fine
                if each.max_age_seconds is not None:
                    whole &= asked - written <= each.max_age_seconds
        return whole, zip(*(values[name] for name in signature.names), strict=True)

    def _by_row(
        self, signature: Signature, batch: Any, moments: Sequence[float | None]
    ) -> Iterator[Row | RefusalError]:
        present = set(batch.schema.names)
        columns = {
            name: [_value(value) for value in batch.column(column).to_pylist()]
            for name in signature.names
            if (column := self._columns.get(name)) in present
        }
        for at, moment in enumerate(moments):
            given = {name: column[at] for name, column in columns.items()}
            try:
                yield self._row(signature, given, moment)
            except RefusalError as refusal:
                yield refusal

    def _row(
        self, signature: Signature, given: Mapping[str, Any], moment: float | None
    ) -> list[Value]:
        """The row of the model, as a request with these values would have it."""
        if moment is None:
            raise RefusalError("no_time", f"{self._time_column} is null", "event_time")
        requested = {name: value for name, value in given.items() if name in signature.requested}
        row = signature.request_values(requested)
        if not signature.lookups:
            return row
        gaps: list[Gap] = []
        try:
            signature.fill(row, self._stored(signature, row, given, moment), moment, gaps)
        finally:
            self.gaps.update((gap.feature, gap.reason) for gap in gaps)
        return row

    def _stored(
        self, signature: Signature, row: list[Value], given: Mapping[str, Any], moment: float
    ) -> Stored:
        """What the store would have returned at that moment."""
        if self._features is not None:
            return {
                (join_key, key): self._features.as_of(join_key, key, moment)
                for join_key in signature.lookups
                for key in (signature.key(row, join_key),)
            }
        cells: dict[tuple[str, Value], dict[Ref, Cell]] = {}
        for each in signature.inputs:
            if each.stored and each.name in given:
                key = each.join_key, signature.key(row, each.join_key)
                cells.setdefault(key, {})[each.view, each.field] = given[each.name], moment
        return cells


def _usable(each: Input, column: Any, *, exact: bool = False) -> tuple[Sequence[Value], np.ndarray]:
    """The values of an Arrow column, and which of them a model takes as they are.

    Args:
        each: the input that takes them.
        column: of the table.
        exact: whether they find stored rows, and whole numbers are not to go through a float.
    """
    from pyarrow import types

    try:
        if each.kind == "category":
            texts = categories(column)
            return texts.to_pylist(), texts.is_valid().to_numpy(zero_copy_only=False)
        found = numbers(column)
    except NoSuchValueError:
        return [None] * len(column), np.zeros(len(column), bool)
    fine = np.abs(found) <= FLOAT32_MAX
    if not exact:
        return found.tolist(), fine
    whole = types.is_integer(column.type)
    # Others are looked at one by one.
    return (column.to_pylist(), fine) if whole else (found.tolist(), np.zeros(len(column), bool))


def _value(value: Any) -> Any:
    """A cell as JSON would bring it: no NaN, since a missing number is null."""
    return None if isinstance(value, float) and value != value else value
