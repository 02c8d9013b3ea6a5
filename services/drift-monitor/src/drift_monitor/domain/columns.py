"""Columns of a reference and of a window, made comparable before a library sees them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

from drift_monitor.domain.histograms import Counts

Columns = Mapping[str, NDArray[Any]]
"""Values by column: float64 with NaN for numbers, str with "" for categories."""

QUANTILE_BINS = 20
"""Bins of a number, each with as much of the reference as it can have."""
OTHER = "(other)"
RARE_SHARE = 0.01
"""Categories rarer than this in the reference are one: with many levels, chance alone drifts."""
MAX_CATEGORY = 128
"""Characters of a category that are compared."""
BROKEN_SHARE = 0.95
"""Share of missing values from which a column that was fed counts as broken."""
FED_SHARE = 0.5
"""Share of missing values up to which the reference's column counts as fed."""


@dataclass(frozen=True, slots=True)
class Column:
    """An input of the model."""

    name: str
    number: bool
    watched: bool = True
    """Whether its drift counts towards a verdict."""


@dataclass(frozen=True, slots=True)
class MissingShare:
    """How much of a column is missing, in the reference and now."""

    column: str
    reference: float
    current: float

    @property
    def broken(self) -> bool:
        """Whether a column that was fed has gone."""
        return self.reference <= FED_SHARE and self.current >= BROKEN_SHARE


def number_array(values: Iterable[object]) -> NDArray[np.float64]:
    """Numbers, with NaN where there is none."""
    return np.array(
        [v if isinstance(v, (int, float)) else np.nan for v in values], dtype=np.float64
    )


def category_array(values: Iterable[object]) -> NDArray[np.str_]:
    """Categories as text, with "" where there is none, and long ones cut.

    An array of text is as wide as its longest value, whose length a caller chooses.
    """
    return np.array(["" if _absent(v) else cut(str(v)) for v in values], dtype=np.str_)


def cut(text: str) -> str:
    """A text of at most `MAX_CATEGORY` characters, and another one for another text."""
    if len(text) <= MAX_CATEGORY:
        return text
    digest = blake2b(text.encode("utf-8", "replace"), digest_size=8).hexdigest()
    return f"{text[: MAX_CATEGORY - len(digest) - 1]}…{digest}"


def _absent(value: object) -> bool:
    return value is None or value != value


def rows_to_columns(rows: list[dict[str, Any]], wanted: Iterable[Column]) -> Columns:
    """The columns of rows; a row without the column misses the value."""
    return {
        c.name: (number_array if c.number else category_array)(row.get(c.name) for row in rows)
        for c in wanted
    }


def missing_share(values: NDArray[Any]) -> float:
    """Share of the values that are missing; 1 when there are no values."""
    if not len(values):
        return 1.0
    if values.dtype.kind == "f":
        return float(np.isnan(values).mean())
    return float((values == "").mean())


def missing_shares(
    wanted: Iterable[Column], reference: Columns, current: Columns
) -> list[MissingShare]:
    """How much of each column is missing; columns that the reference lacks are left out."""
    return [
        MissingShare(c.name, missing_share(reference[c.name]), missing_share(current[c.name]))
        for c in wanted
        if c.name in reference
    ]


def comparable(
    wanted: Iterable[Column], shares: Iterable[MissingShare], reference: Columns, current: Columns
) -> tuple[list[Column], Columns, Columns]:
    """The columns that hold values on both sides, with missing values out and rare ones as one."""
    filled = {s.column for s in shares if s.reference < 1.0 and s.current < 1.0 and not s.broken}
    kept = [c for c in wanted if c.name in filled]
    left: dict[str, NDArray[Any]] = {}
    right: dict[str, NDArray[Any]] = {}
    for column in kept:
        a, b = reference[column.name], current[column.name]
        left[column.name], right[column.name] = (a, b) if column.number else lump(a, b)
    return kept, left, right


def lump(reference: NDArray[Any], current: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Both columns with every category that is rare in the reference, or new, made one."""
    names, counts = np.unique(reference, return_counts=True)
    frequent = names[counts >= RARE_SHARE * len(reference)]
    return (
        np.where(np.isin(reference, frequent), reference, OTHER),
        np.where(np.isin(current, frequent), current, OTHER),
    )


def counts_beside(reference: NDArray[Any], current: NDArray[Any]) -> tuple[Counts, Counts]:
    """Both columns in bins that hold equal shares of the reference, or by category.

    One bin more on each side takes what lies outside of the reference, so that a constant that
    changes is seen. Bins of equal width would be ruled by the one value that is far off.
    """
    if reference.dtype.kind != "f":
        names = np.unique(np.concatenate([reference, current]))
        return _counts_of(names, reference), _counts_of(names, current)
    known, now = reference[np.isfinite(reference)], current[np.isfinite(current)]
    edges = np.unique(np.quantile(known, np.linspace(0, 1, QUANTILE_BINS + 1), method="lower"))
    edges = np.append(edges, np.nextafter(edges[-1], np.inf))
    return _binned(edges, known), _binned(edges, now)


def _counts_of(names: NDArray[Any], values: NDArray[Any]) -> Counts:
    places = np.searchsorted(names, values)
    return tuple(np.bincount(places, minlength=len(names)).tolist())


def _binned(edges: NDArray[np.float64], values: NDArray[np.float64]) -> Counts:
    places = np.searchsorted(edges, values, side="right")
    return tuple(np.bincount(places, minlength=len(edges) + 1).tolist())


def mean_difference(reference: NDArray[Any], current: NDArray[Any]) -> float | None:
    """How far the mean moved, in the column's units; None for categories."""
    if reference.dtype.kind != "f":
        return None
    return float(np.nanmean(current) - np.nanmean(reference))
