"""The first version, kept as it was: what flights would be answered without the loop."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from event_schemas.model import ModelVersion
from tailrace.flights.registry import mlflow_client


class StaticModel:
    """Scores features with the artifact of one version, which it downloads.

    Raises:
        ValueError: The file is not the one that the version names.
    """

    def __init__(self, version: ModelVersion, tracking_uri: str) -> None:
        import mlflow.artifacts
        import onnxruntime

        mlflow_client(tracking_uri)
        path = Path(
            mlflow.artifacts.download_artifacts(
                artifact_uri=version.artifact.uri, tracking_uri=tracking_uri
            )
        )
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        if digest != version.artifact.sha256:
            raise ValueError(
                f"{version.artifact.uri} has sha256 {digest},"
                f" and version {version.version} names {version.artifact.sha256}"
            )
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"]
        )
        self.version = version
        self.content = content

    def __call__(self, rows: list[dict[str, Any]]) -> np.ndarray:
        """Probabilities of the positive class."""
        feed: dict[str, np.ndarray] = {}
        for feature in self.version.features:
            values = [row.get(feature.name) for row in rows]
            if feature.kind == "number":
                column = np.array([np.nan if v is None else v for v in values], np.float32)
            else:
                column = np.array(["" if v is None else v for v in values], object)
            feed[feature.name] = column.reshape(-1, 1)
        probabilities = self._session.run(None, feed)[-1]
        return np.asarray(probabilities)[:, 1]
