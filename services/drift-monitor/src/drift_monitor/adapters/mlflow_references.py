"""References from MLflow, checked against their digest."""

import hashlib
import os
import tempfile
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from drift_monitor.domain.columns import Column, Columns, category_array
from drift_monitor.ports import BadReferenceError
from servicekit.errors import UnavailableError
from stores.mlflow import leave_feast_out

if TYPE_CHECKING:
    import pyarrow as pa

KEPT = 8
"""References kept in memory: of a version in force, and of some that were."""
_GONE = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE", "PERMISSION_DENIED")


class MlflowReferences:
    """Downloads a reference once and keeps it in memory."""

    def __init__(self, tracking_uri: str) -> None:
        self._tracking_uri = tracking_uri
        self._kept: OrderedDict[tuple[str, str], pa.Table] = OrderedDict()

    def warm_up(self) -> None:
        """See `References.warm_up`."""
        # By default MLflow tries for minutes; the loop waits and tries by itself.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        import pyarrow.parquet  # noqa: F401

        leave_feast_out()

    def load(self, uri: str, sha256: str, columns: Sequence[Column]) -> Columns:
        """See `References.load`."""
        table = self._kept.get((uri, sha256))
        if table is None:
            table = self._kept[uri, sha256] = self._download(uri, sha256)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end((uri, sha256))
        wanted = [c for c in (*columns, Column("score", True)) if c.name in table.column_names]
        try:
            return {
                c.name: (
                    np.asarray(table[c.name].to_pandas(), dtype=np.float64)
                    if c.number
                    else category_array(table[c.name].to_pylist())
                )
                for c in wanted
            }
        except (TypeError, ValueError) as error:
            raise BadReferenceError(
                f"{uri} does not hold what the version says: {error}"
            ) from error

    def _download(self, uri: str, sha256: str) -> "pa.Table":
        import mlflow.artifacts
        import pyarrow as pa
        import pyarrow.parquet as pq
        from mlflow.exceptions import MlflowException

        with tempfile.TemporaryDirectory(prefix="reference-") as folder:
            try:
                path = Path(
                    mlflow.artifacts.download_artifacts(
                        artifact_uri=uri, dst_path=folder, tracking_uri=self._tracking_uri
                    )
                )
                data = path.read_bytes()
            except MlflowException as error:
                if error.error_code in _GONE:
                    raise BadReferenceError(f"{uri}: {error}") from error
                raise UnavailableError(f"MLflow does not give {uri}: {error}") from error
            except OSError as error:
                # requests' errors are OSErrors too; a local file that is gone is no outage.
                if isinstance(error, (FileNotFoundError, IsADirectoryError)):
                    raise BadReferenceError(f"{uri}: {error}") from error
                raise UnavailableError(f"MLflow does not give {uri}: {error}") from error
        digest = hashlib.sha256(data).hexdigest()
        if digest != sha256:
            raise BadReferenceError(f"{uri} has SHA-256 {digest}, and the version names {sha256}")
        try:
            return pq.read_table(pa.BufferReader(data))
        except pa.ArrowException as error:
            raise BadReferenceError(f"{uri} is no Parquet file: {error}") from error
