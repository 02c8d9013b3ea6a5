"""MLflow as every service uses it: impatient, without pickles, and each file by its digest."""

import hashlib
import importlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from servicekit.errors import UnavailableError

_FINAL = frozenset(
    {"INVALID_PARAMETER_VALUE", "NOT_FOUND", "RESOURCE_DOES_NOT_EXIST", "PERMISSION_DENIED"}
)
"""Codes of MLflow under which asking again does not help: the server understood, and said no."""


class ArtifactError(Exception):
    """The file is not there, or is another than was announced; asking again does not help."""

    def __init__(self, reason: Literal["missing", "sha256"], text: str) -> None:
        super().__init__(text)
        self.reason: Literal["missing", "sha256"] = reason


def set_up(*, retries: int = 2, timeout_seconds: float) -> None:
    """Import MLflow's client; call it before the first request.

    Args:
        retries: of a request; MLflow's own take minutes, and whoever calls us tries again better.
        timeout_seconds: time that MLflow has to answer one request.
    """
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", str(retries))
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(max(1, round(timeout_seconds))))
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    # No file that runs code while it is read, whatever the environment says.
    os.environ["MLFLOW_ALLOW_PICKLE_DESERIALIZATION"] = "false"
    leave_feast_out()


def leave_feast_out() -> None:
    """Keep MLflow's first request from importing Feast: 7 to 13 seconds and 190 MB.

    Where both are installed, Feast registers itself as a provider of request headers, for data
    sources that we do not use. Call it before the first request; later it changes nothing.
    """
    from mlflow.utils import plugins

    everything = plugins.get_entry_points
    plugins.get_entry_points = lambda group: [e for e in everything(group) if e.name != "feast"]
    try:
        importlib.import_module("mlflow.tracking.request_header.registry")
    finally:
        plugins.get_entry_points = everything


def sha256_of(path: Path) -> str:
    """The digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch(
    tracking_uri: str,
    uri: str,
    sha256: str,
    folder: Path,
    digest: Callable[[Path], str] = sha256_of,
) -> Path:
    """A file of MLflow in a folder that keeps each by its digest, and downloads it once.

    Args:
        tracking_uri: of the MLflow server.
        uri: of the file.
        sha256: that it must have; one that lies in the folder is checked again.
        folder: takes the file; may be shared with other processes.
        digest: takes the digest of a file.

    Raises:
        ArtifactError: the file is missing, or has another digest.
        UnavailableError: it cannot be downloaded now.
    """
    kept = folder / f"{sha256}{Path(uri).suffix}"
    if kept.is_file() and digest(kept) == sha256:
        return kept
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="download-") as scratch:
        path = download(tracking_uri, uri, Path(scratch))
        found = digest(path)
        if found != sha256:
            raise ArtifactError("sha256", f"{uri} has SHA-256 {found}, and {sha256} was announced")
        # A rename: another process that shares the folder never sees half a file.
        os.replace(path, kept)
    return kept


def download(tracking_uri: str, uri: str, folder: Path) -> Path:
    """A file of MLflow in a folder.

    Raises:
        ArtifactError: it is missing.
        UnavailableError: it cannot be downloaded now.
    """
    import mlflow.artifacts

    try:
        path = Path(
            mlflow.artifacts.download_artifacts(
                artifact_uri=uri, dst_path=str(folder), tracking_uri=tracking_uri
            )
        )
    except Exception as error:  # MLflow's, requests', and those of the stores behind it
        if _is_final(error):
            raise ArtifactError("missing", f"{uri} cannot be downloaded: {error}") from error
        raise UnavailableError(f"{uri} cannot be downloaded now: {error}") from error
    if not path.is_file():
        raise ArtifactError("missing", f"{uri} is no single file")
    if folder not in path.parents:  # a local file is handed out where it lies
        path = Path(shutil.copy(path, folder))
    return path


def _is_final(error: Exception) -> bool:
    from mlflow.exceptions import MlflowException

    if isinstance(error, (FileNotFoundError, IsADirectoryError)):
        return True
    response: Any = getattr(error, "response", None)
    if response is not None:  # an HTTP error of requests
        return response.status_code in (400, 404)
    return isinstance(error, MlflowException) and error.error_code in _FINAL
