"""Rows that may come and that no hold-out need have: values missing, extreme, and never seen."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from event_schemas.policy import Feature
from stores.values import FLOAT32_MAX

if TYPE_CHECKING:
    import pandas as pd

BASES = 20
"""Rows that each oddity is tried on."""
SPANS = 100.0
"""How far beyond all that was seen an extreme number lies, in spans of what was seen."""
UNSEEN = "never seen before"
"""A category of no row."""


def odd_rows(frame: "pd.DataFrame", features: Sequence[Feature]) -> "Iterator[pd.DataFrame]":
    """For each oddity of each input, some rows of a frame that have it and are else as they were.

    Args:
        frame: Held-out rows, oldest first.
        features: The inputs; one that a request has to bring is never missing.
    """
    places = np.linspace(0, len(frame) - 1, min(BASES, len(frame))).astype(np.intp)
    names = [feature.name for feature in features]
    base = frame.iloc[places].loc[:, names].reset_index(drop=True)
    for feature in features:
        for value in _oddities(frame[feature.name], feature):
            odd = base.copy()
            odd[feature.name] = np.full(len(base), value, base[feature.name].dtype)
            yield odd


def _oddities(column: Any, feature: Feature) -> Iterator[Any]:
    missing = not feature.required and feature.default is None
    if feature.kind == "category":
        yield UNSEEN
        if missing:
            yield ""
        return
    seen = column.to_numpy(np.float64)
    seen = seen[np.isfinite(seen)]
    low, high = (float(seen.min()), float(seen.max())) if len(seen) else (0.0, 0.0)
    span = (high - low) or max(abs(high), 1.0)
    yield max(low - SPANS * span, -FLOAT32_MAX)
    yield min(high + SPANS * span, FLOAT32_MAX)
    if missing:
        yield np.nan
