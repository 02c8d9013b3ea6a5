"""Downloads the files of model versions from MLflow, and trusts none before its digest."""

from pathlib import Path

from predictor.adapters.models.idle_priority import IdlePriority
from predictor.domain.errors import LoadError
from stores.artifacts import ArtifactError, Limits
from stores.mlflow import fetch, set_up, sha256_of


class MlflowArtifacts:
    """Keeps each file by its digest, so that it is downloaded once.

    Args:
        tracking_uri: of the MLflow server.
        folder: takes the files; those in it are checked again before they are used.
        idle: where they are checked; None: by whoever fetches them.
        limits: of each download.
    """

    def __init__(
        self,
        tracking_uri: str,
        folder: Path,
        idle: IdlePriority | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._tracking_uri = tracking_uri
        self._folder = folder
        self._idle = idle
        self._limits = limits or Limits()

    def warm_up(self) -> None:
        """See `Artifacts.warm_up`."""
        set_up(retries=1, timeout_seconds=20)

    def fetch(self, uri: str, sha256: str) -> Path:
        """See `Artifacts.fetch`."""
        try:
            return fetch(self._tracking_uri, uri, sha256, self._folder, self._digest, self._limits)
        except ArtifactError as error:
            raise LoadError(error.reason, str(error)) from error

    def _digest(self, path: Path) -> str:
        if self._idle is None:
            return sha256_of(path)
        return self._idle.run(lambda: sha256_of(path), f"checking {path}")
