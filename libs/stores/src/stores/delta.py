"""Delta tables of the lake: how they are opened, their times, and what counts as an outage."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from servicekit.errors import UnavailableError

if TYPE_CHECKING:
    from deltalake import DeltaTable

TIME = "event_time"
"""Column of every table of the lake: when the row's event happened."""
ID = "event_id"
"""Column of every table of the lake: the event that brought the row."""

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


@contextmanager
def outages(uri: str, *, damage: bool = False) -> Iterator[None]:
    """Raise what deltalake raises over a table that is away as an outage.

    Args:
        uri: of the table.
        damage: whether a file that is cut off counts as an outage too.

    Raises:
        UnavailableError: the lake is away.
    """
    from deltalake.exceptions import DeltaError
    from pyarrow import ArrowInvalid

    kinds = (DeltaError, OSError, ArrowInvalid) if damage else (DeltaError, OSError)
    try:
        yield
    except kinds as error:
        # deltalake draws some errors as a coloured tree.
        text = " ".join(_COLOUR.sub("", str(error)).split())
        raise UnavailableError(f"{uri}: {type(error).__name__}: {text}") from error


def open_table(uri: str, version: int | None = None) -> "DeltaTable | None":
    """The table at a URI, at its newest version or another; None where there is no table.

    Raises:
        UnavailableError: the lake is away, or the table has no such version.
    """
    from deltalake import DeltaTable
    from deltalake.exceptions import TableNotFoundError

    with outages(uri):
        try:
            return DeltaTable(uri, version=version)
        except TableNotFoundError:
            return None


def seconds(column: Any) -> list[float]:
    """An Arrow column of moments in seconds since 1970; those without an offset are UTC."""
    import pyarrow
    import pyarrow.compute as pc

    micros = pc.cast(column, pyarrow.timestamp("us", column.type.tz), safe=False)
    return [value / 1e6 for value in pc.cast(micros, pyarrow.int64()).to_pylist()]
