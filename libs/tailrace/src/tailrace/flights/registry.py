"""MLflow as the clients of the flights use it."""

import os
from typing import Any

from stores.mlflow import leave_feast_out


def mlflow_client(tracking_uri: str) -> Any:
    """An `MlflowClient`; imported when it is needed, for the import takes seconds."""
    from mlflow import MlflowClient

    # Bars of downloads would be drawn through what the command prints.
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    leave_feast_out()
    return MlflowClient(tracking_uri, tracking_uri)
