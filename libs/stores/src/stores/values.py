"""Columns of a table as a model's inputs see them: `event_schemas.values`, a column at a time."""

from typing import Any

import numpy as np

from event_schemas.values import EXACT, NoSuchValueError, category, key, number

__all__ = ["EXACT", "NoSuchValueError", "categories", "category", "key", "number", "numbers"]

FLOAT32_MAX = 3.4028234663852886e38
"""Largest number that a model's float32 input can hold; beyond it the model would see infinity."""


def categories(column: Any) -> Any:
    """The categories of an Arrow column, as an Arrow array of texts; null where one is missing.

    Raises:
        NoSuchValueError: the column holds neither texts nor booleans nor numbers.
    """
    import pyarrow as pa
    from pyarrow import types

    column = _whole_array(column)
    kind = column.type
    if types.is_string(kind):
        return column
    if types.is_large_string(kind) or types.is_null(kind):
        return column.cast(pa.string())
    if not _is_number(kind):
        raise NoSuchValueError(f"a column of {kind} holds no categories")
    encoded = column.dictionary_encode()
    texts = pa.array([category(value) for value in encoded.dictionary.to_pylist()], pa.string())
    return texts.take(encoded.indices)


def numbers(column: Any) -> np.ndarray:
    """The numbers of an Arrow column as float64, NaN where one is missing.

    Raises:
        NoSuchValueError: the column holds neither numbers nor booleans.
    """
    import pyarrow as pa
    from pyarrow import types

    column = _whole_array(column)
    kind = column.type
    if not (_is_number(kind) or types.is_null(kind)):
        raise NoSuchValueError(f"a column of {kind} holds no numbers")
    if types.is_decimal(kind):  # which Arrow does not round to the nearest float
        return np.array([number(value) for value in column.to_pylist()], np.float64)
    if types.is_boolean(kind):
        column = column.cast(pa.uint8())
    return column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)


def _is_number(kind: Any) -> bool:
    from pyarrow import types

    return (
        types.is_boolean(kind)
        or types.is_integer(kind)
        or types.is_floating(kind)
        or types.is_decimal(kind)
    )


def _whole_array(column: Any) -> Any:
    """One array, of a column that may lie in chunks and be encoded as a dictionary."""
    import pyarrow as pa
    from pyarrow import types

    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    return column.dictionary_decode() if types.is_dictionary(column.type) else column
