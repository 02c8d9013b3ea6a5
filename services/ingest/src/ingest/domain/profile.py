"""What the columns of a batch look like, in a few numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ingest.domain.contract import Column, Kind

_NUMERIC: tuple[Kind, ...] = ("number", "integer")


@dataclass(frozen=True, slots=True)
class Profile:
    """Missing values and range of one column; `distinct` for a column that holds no numbers."""

    column: str
    missing: int
    minimum: float | None = None
    mean: float | None = None
    maximum: float | None = None
    distinct: int | None = None


def profile(column: Column, values: Sequence[Any]) -> Profile:
    """Profile the values of one column; None is a missing value."""
    present = [value for value in values if value is not None]
    missing = len(values) - len(present)
    if column.kind not in _NUMERIC:
        return Profile(column.name, missing, distinct=len(set(present)))
    if not present:
        return Profile(column.name, missing)
    low, high = float(min(present)), float(max(present))
    # Each term is divided first, so that the sum of large values stays finite.
    mean = sum(value / len(present) for value in present)
    return Profile(column.name, missing, low, min(max(mean, low), high), high)
