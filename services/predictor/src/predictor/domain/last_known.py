"""The last value that was known of a stored feature, for when the store has none."""

from collections import OrderedDict
from typing import Any, NamedTuple

Key = tuple[str, Any, str, str]
"""Join key, its value, view and field."""


class Known(NamedTuple):
    """A value that a model could take; `written_at` is its event time in seconds since 1970."""

    value: float | str
    written_at: float


class LastKnown:
    """So many values; what was not asked for the longest gives way."""

    __slots__ = ("_most", "_values")

    def __init__(self, most: int) -> None:
        """Empty.

        Args:
            most: values to keep.
        """
        self._most = most
        self._values: OrderedDict[Key, Known] = OrderedDict()

    def __len__(self) -> int:
        return len(self._values)

    def keep(self, key: Key, value: Known) -> None:
        """Remember a value, unless a newer one is known."""
        values = self._values
        before = values.get(key)
        if before is None or value.written_at >= before.written_at:
            values[key] = value
        values.move_to_end(key)
        if len(values) > self._most:
            values.popitem(last=False)

    def of(self, key: Key, oldest: float) -> float | str | None:
        """What is known, unless it was written before `oldest`."""
        known = self._values.get(key)
        if known is None or known.written_at < oldest:
            return None
        self._values.move_to_end(key)
        return known.value
