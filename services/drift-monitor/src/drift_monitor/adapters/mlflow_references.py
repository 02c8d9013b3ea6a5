"""References from MLflow, checked against their digest."""

import logging
import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from drift_monitor.domain.columns import Column, Columns, category_array
from drift_monitor.ports import BadReferenceError
from servicekit.errors import UnavailableError
from stores.artifacts import ArtifactError, Limits
from stores.mlflow import fetch, set_up

if TYPE_CHECKING:
    import pyarrow as pa

log = logging.getLogger(__name__)

PAUSE_SECONDS = 30.0
"""After MLflow did not answer: whoever waits for it waits with all other models behind."""
KEPT = 8
"""References kept in memory: of the version that serves, and of some that did."""


class MlflowReferences:
    """Downloads a reference once and keeps it in memory."""

    def __init__(
        self,
        tracking_uri: str,
        limits: Limits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._tracking_uri = tracking_uri
        self._clock = clock
        self._away_until = 0.0
        self._away = ""
        self._limits = limits or Limits()
        self._kept: OrderedDict[tuple[str, str], pa.Table] = OrderedDict()

    def warm_up(self) -> None:
        """See `References.warm_up`."""
        import pyarrow.parquet  # noqa: F401

        set_up(timeout_seconds=10)

    def load(self, uri: str, sha256: str, columns: Sequence[Column]) -> Columns:
        """See `References.load`."""
        table = self._kept.get((uri, sha256))
        if table is None:
            table = self._kept[uri, sha256] = self._download(uri, sha256)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end((uri, sha256))
        found: dict[str, NDArray[Any]] = {}
        for column in columns:
            if column.name not in table.column_names:
                continue
            try:
                found[column.name] = _values(table[column.name], number=column.number)
            except (TypeError, ValueError) as error:
                # The others can be compared without it.
                log.error("%s: %s is left out: %s", uri, column.name, error)
        if not found and columns:
            raise BadReferenceError(f"{uri} holds none of the columns that the version names")
        return found

    def _download(self, uri: str, sha256: str) -> "pa.Table":
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self._clock() < self._away_until:
            raise UnavailableError(f"{self._away}; it is asked again after {PAUSE_SECONDS:g} s")
        try:
            with tempfile.TemporaryDirectory(prefix="reference-") as folder:
                found = fetch(self._tracking_uri, uri, sha256, Path(folder), limits=self._limits)
                data = found.read_bytes()
        except ArtifactError as error:
            raise BadReferenceError(str(error)) from error
        except UnavailableError as error:
            self._away, self._away_until = str(error), self._clock() + PAUSE_SECONDS
            raise
        try:
            return pq.read_table(pa.BufferReader(data))
        except pa.ArrowException as error:
            raise BadReferenceError(f"{uri} is no Parquet file: {error}") from error


def _values(column: "pa.ChunkedArray", *, number: bool) -> NDArray[Any]:
    if number:
        return np.asarray(column.to_pandas(), dtype=np.float64)
    return category_array(column.to_pylist())
