"""Downloads the files of model versions from MLflow, and trusts none before its digest."""

import hashlib
import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from predictor.adapters.models.idle_priority import IdlePriority
from predictor.domain.errors import LoadError
from servicekit.errors import UnavailableError
from stores.mlflow import leave_feast_out, refuse_pickles

log = logging.getLogger(__name__)


class MlflowArtifacts:
    """Keeps each file by its digest, so that it is downloaded once."""

    def __init__(self, tracking_uri: str, folder: Path, aside: IdlePriority | None = None) -> None:
        """Knows where to ask; nothing is asked before the first `fetch`.

        Args:
            tracking_uri: of the MLflow server.
            folder: takes the files; those in it are checked again before they are used.
            aside: where they are checked; None: by whoever fetches them.
        """
        self._tracking_uri = tracking_uri
        self._folder = folder
        self._aside = aside

    def warm_up(self) -> None:
        """See `Artifacts.warm_up`."""
        # By default MLflow repeats a request for minutes; whoever calls us repeats it better.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
        os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")

        refuse_pickles()
        leave_feast_out()

    def fetch(self, uri: str, sha256: str) -> Path:
        """See `Artifacts.fetch`."""
        kept = self._folder / f"{sha256}{Path(uri).suffix}"
        if kept.is_file() and self._digest(kept) == sha256:
            return kept
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._folder, prefix="download-") as folder:
            path = self._download(uri, folder)
            found = self._digest(path)
            if found != sha256:
                raise LoadError(
                    "sha256", f"{uri} has sha256 {found}, announced was {sha256}: it is not loaded"
                )
            # A rename: another process that shares the folder never sees half a file.
            os.replace(path, kept)
        return kept

    def _digest(self, path: Path) -> str:
        if self._aside is None:
            return _sha256(path)
        return self._aside.run(lambda: _sha256(path), f"checking {path}")

    def _download(self, uri: str, folder: str) -> Path:
        import mlflow.artifacts

        try:
            path = Path(
                mlflow.artifacts.download_artifacts(
                    artifact_uri=uri, dst_path=folder, tracking_uri=self._tracking_uri
                )
            )
        except Exception as error:
            if _is_final(error):
                raise LoadError("missing", f"{uri} cannot be downloaded: {error}") from error
            raise UnavailableError(f"{uri} cannot be downloaded now: {error}") from error
        if not path.is_file():
            raise LoadError("missing", f"{uri} is no single file")
        if Path(folder) not in path.parents:  # a local file is handed out where it lies
            path = Path(shutil.copy(path, folder))
        return path


def _is_final(error: Exception) -> bool:
    """Whether asking again will not help: the server understood, and said no."""
    from mlflow.exceptions import MlflowException
    from mlflow.protos.databricks_pb2 import (
        INVALID_PARAMETER_VALUE,
        NOT_FOUND,
        RESOURCE_DOES_NOT_EXIST,
        ErrorCode,
    )

    if isinstance(error, (FileNotFoundError, IsADirectoryError)):
        return True
    response: Any = getattr(error, "response", None)
    if response is not None:  # an HTTP error of requests
        return response.status_code in (400, 404)
    codes = (INVALID_PARAMETER_VALUE, NOT_FOUND, RESOURCE_DOES_NOT_EXIST)
    return isinstance(error, MlflowException) and error.error_code in {
        ErrorCode.Name(code) for code in codes
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
