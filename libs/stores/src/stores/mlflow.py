"""MLflow as every service uses it: impatient, without pickles, and each file by its digest."""

import hashlib
import importlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote

from servicekit.errors import UnavailableError
from servicekit.redaction import redacted
from stores.artifacts import (
    SERVED,
    ArtifactError,
    InRun,
    Limits,
    OnServer,
    place_of,
)

_FINAL = frozenset(
    {"INVALID_PARAMETER_VALUE", "NOT_FOUND", "RESOURCE_DOES_NOT_EXIST", "PERMISSION_DENIED"}
)
"""Codes of MLflow under which asking again does not help: the server understood, and said no."""


_CHUNK = 1024 * 1024
_DEFAULT = Limits()


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
    limits: Limits = _DEFAULT,
) -> Path:
    """A file of MLflow in a folder that keeps each by its digest, and downloads it once.

    Args:
        tracking_uri: of the MLflow server.
        uri: of the file.
        sha256: that it must have; one that lies in the folder is checked again.
        folder: takes the file; may be shared with other processes.
        digest: takes the digest of a file.
        limits: of the download.

    Raises:
        ArtifactError: the file is missing, too large, lies elsewhere, or has another digest.
        UnavailableError: it cannot be downloaded now.
    """
    place_of(tracking_uri, uri)
    kept = folder / f"{sha256}{Path(uri).suffix[:16]}"
    if kept.is_file() and digest(kept) == sha256:
        return kept
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix="download-") as scratch:
        path = download(tracking_uri, uri, Path(scratch), limits)
        found = digest(path)
        if found != sha256:
            raise ArtifactError("sha256", f"{uri} has SHA-256 {found}, and {sha256} was announced")
        # A rename: another process that shares the folder never sees half a file.
        os.replace(path, kept)
    return kept


def download(tracking_uri: str, uri: str, folder: Path, limits: Limits = _DEFAULT) -> Path:
    """A file of the configured MLflow in a folder; no other host is ever asked.

    Raises:
        ArtifactError: it is missing, too large, or lies elsewhere.
        UnavailableError: it cannot be downloaded now, or takes too long.
    """
    deadline = time.monotonic() + limits.seconds
    place = place_of(tracking_uri, uri)
    try:
        if isinstance(place, InRun):
            place = _resolved(tracking_uri, place)
        if isinstance(place, InRun):
            raise ArtifactError("address", f"{uri} leads to another run")
        path = folder / f"artifact{Path(uri).suffix[:16]}"
        if isinstance(place, OnServer):
            _from_server(tracking_uri, place, path, limits, deadline)
        else:
            _from_folder(place, path, limits)
    except ArtifactError as error:
        raise ArtifactError(error.reason, f"{uri} cannot be downloaded: {error}") from error
    except Exception as error:  # MLflow's, and those of the clients behind it
        if _is_final(error):
            raise ArtifactError(
                "missing", f"{uri} cannot be downloaded: {redacted(error)}"
            ) from error
        raise UnavailableError(f"{uri} cannot be downloaded now: {redacted(error)}") from error
    return path


def _resolved(tracking_uri: str, place: InRun) -> InRun | OnServer | Path:
    """Where a run keeps its files; whoever made the run chose it, so it is judged as well."""
    from mlflow import MlflowClient

    base = MlflowClient(tracking_uri, tracking_uri).get_run(place.run_id).info.artifact_uri or ""
    return place_of(tracking_uri, f"{base.rstrip('/')}/{place.path}")


def _from_server(
    tracking_uri: str, place: OnServer, path: Path, limits: Limits, deadline: float
) -> None:
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import http_request

    # MLflow's own download follows redirects, and has bounds of neither bytes nor time.
    answer: Any = http_request(
        get_default_host_creds(tracking_uri),
        f"{SERVED}{quote(place.path)}",
        "GET",
        extra_headers={"Accept-Encoding": "identity"},
        raise_on_status=False,
        stream=True,
        allow_redirects=False,
    )
    with answer as response:
        if 300 <= response.status_code < 400:
            raise ArtifactError("address", "the server sends to another address: nobody follows")
        response.raise_for_status()
        announced = response.headers.get("Content-Length", "")
        if announced.isdecimal() and int(announced) > limits.max_bytes:
            raise _too_large(limits)
        with path.open("wb") as file:
            # One read of the socket at a time: a server that drips never fills a larger one.
            _copy(lambda: response.raw.read1(_CHUNK), file, limits, deadline)


def _copy(read: Callable[[], bytes], file: IO[bytes], limits: Limits, deadline: float) -> None:
    taken = 0
    while chunk := read():
        taken += len(chunk)
        if taken > limits.max_bytes:
            raise _too_large(limits)
        if time.monotonic() > deadline:
            raise UnavailableError(
                f"it took longer than ARTIFACT_TIMEOUT_SECONDS={limits.seconds:g}"
            )
        file.write(chunk)


def _from_folder(place: Path, path: Path, limits: Limits) -> None:
    if not place.is_file():  # a pipe or a device would never end
        raise ArtifactError("missing", "there is no single file")
    if place.stat().st_size > limits.max_bytes:
        raise _too_large(limits)
    shutil.copy(place, path)


def _too_large(limits: Limits) -> ArtifactError:
    return ArtifactError(
        "too_large", f"it has more bytes than MAX_ARTIFACT_BYTES={limits.max_bytes}: raise that"
    )


def _is_final(error: Exception) -> bool:
    from mlflow.exceptions import MlflowException

    if isinstance(error, (FileNotFoundError, IsADirectoryError)):
        return True
    response: Any = getattr(error, "response", None)
    if response is not None:  # an HTTP error of requests
        return response.status_code in (400, 404, 410)
    return isinstance(error, MlflowException) and error.error_code in _FINAL
