"""Where artifacts may lie, in the configured MLflow alone, and how much of one is taken.

An event may name any address. Whoever follows it sends a request, with MLflow's password, to a host
that the event chose; so an address is judged here before anything is asked for.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import Field

from servicekit.settings import ServiceSettings

SERVED = "/api/2.0/mlflow-artifacts/artifacts/"
"""Path under which an MLflow server gives its artifacts."""
MAX_BYTES = 512 * 1024 * 1024
SECONDS = 120.0
MAX_URI = 2000
"""Characters of the longest address."""

_PORTS = {"http": 80, "https": 443}
_SEGMENT = re.compile(r"[\w.~@+=:, -]+")
"""Part of a path that means the same to every client and server: no escape, query or fragment."""
_RUN = re.compile(r"[\w-]{1,256}")

Reason = Literal["missing", "sha256", "address", "too_large"]


class ArtifactError(Exception):
    """The file is not there, or not as it has to be; asking again does not help."""

    def __init__(self, reason: Reason, text: str) -> None:
        super().__init__(text)
        self.reason: Reason = reason


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of an artifact is taken."""

    max_bytes: int = MAX_BYTES
    seconds: float = SECONDS
    """Longest download; one that takes longer counts as an outage."""


class ArtifactSettings(ServiceSettings):
    """Settings of all that read artifacts."""

    max_artifact_bytes: int = Field(default=MAX_BYTES, ge=1024)
    """Largest artifact, in bytes: a larger one is not taken."""
    artifact_timeout_seconds: float = Field(default=SECONDS, gt=0)
    """Longest download of an artifact; then it is given up, and tried again as after an outage."""

    @property
    def artifact_limits(self) -> Limits:
        """Both as one."""
        return Limits(self.max_artifact_bytes, self.artifact_timeout_seconds)


@dataclass(frozen=True, slots=True)
class InRun:
    """A file of a run, whose place MLflow knows."""

    run_id: str
    path: str


@dataclass(frozen=True, slots=True)
class OnServer:
    """A file that the configured server gives."""

    path: str


Place = InRun | OnServer | Path


def place_of(tracking_uri: str, uri: str) -> Place:
    """Where the file of an address lies.

    Args:
        tracking_uri: of the configured MLflow: a server, or a store in a folder of this machine,
            whose artifacts lie in that folder.
        uri: `runs:/run/path`, `mlflow-artifacts:/path`, the address by which the server gives it,
            or a file in the store's folder.

    Raises:
        ArtifactError: it lies elsewhere; the text says where it may lie.
    """
    if len(uri) > MAX_URI:
        raise _elsewhere(f"{uri[:100]}…", f"it has {len(uri)} characters, more than {MAX_URI}")
    try:
        at, store = urlsplit(uri), urlsplit(tracking_uri)
        if at.scheme == "runs" and not at.netloc:
            run_id, *rest = _segments(at)
            if not rest or not _RUN.fullmatch(run_id):
                raise ValueError("write runs:/run/path")
            return InRun(run_id, "/".join(rest))
        if store.scheme in _PORTS:
            return OnServer("/".join(_on_server(at, store)))
        return _in_folder(uri, _folder_of(tracking_uri))
    except ValueError as error:
        raise _elsewhere(uri, str(error)) from error


def _elsewhere(uri: str, why: str) -> ArtifactError:
    return ArtifactError(
        "address",
        f"{uri!r} is not fetched: {why}; an artifact is runs:/run/path, mlflow-artifacts:/path, or"
        " another address in the MLflow of MLFLOW_TRACKING_URI",
    )


def _segments(at: SplitResult) -> list[str]:
    if at.query or at.fragment:
        raise ValueError("it has a query or a fragment")
    found = [part for part in at.path.split("/") if part]
    for part in found:
        if part in (".", "..") or not _SEGMENT.fullmatch(part):
            raise ValueError(f"{part[:50]!r} is no name of a folder or file")
    if not found:
        raise ValueError("it names no file")
    return found


def _on_server(at: SplitResult, store: SplitResult) -> list[str]:
    if at.scheme not in ("mlflow-artifacts", store.scheme):
        raise ValueError(f"{at.scheme or 'a file'} is no scheme of this MLflow")
    if at.scheme != "mlflow-artifacts" or at.netloc:
        port = _PORTS[store.scheme]
        ours = store.hostname, store.port or port
        if at.username is not None or (at.hostname, at.port or port) != ours:
            raise ValueError("it names another host than the MLflow that is configured")
    found = _segments(at)
    if at.scheme == "mlflow-artifacts":
        return found
    prefix = [part for part in f"{store.path}{SERVED}".split("/") if part]
    if found[: len(prefix)] != prefix or len(found) == len(prefix):
        raise ValueError("the server gives no artifacts under this path")
    return found[len(prefix) :]


def _folder_of(tracking_uri: str) -> Path:
    scheme, given, rest = tracking_uri.partition(":")
    if scheme == "sqlite":
        return Path(rest.removeprefix("///")).parent
    return _file(urlsplit(tracking_uri)) if given and scheme == "file" else Path(tracking_uri)


def _file(at: SplitResult) -> Path:
    if at.netloc not in ("", "localhost"):
        raise ValueError("it names another host")
    return Path(unquote(at.path))


def _in_folder(uri: str, folder: Path) -> Path:
    at = urlsplit(uri)
    if at.scheme not in ("", "file"):
        raise ValueError(f"{at.scheme} is no scheme of a store in a folder")
    # Links are followed first: one that leads out of the store is no file of it.
    path = (_file(at) if at.scheme else Path(uri)).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise ValueError("it lies outside of the folder of MLFLOW_TRACKING_URI")
    return path
