"""MLflow as the demo uses it."""

from typing import Any

from stores.mlflow import leave_feast_out


def mlflow_client(tracking_uri: str) -> Any:
    """An `MlflowClient`; imported when it is needed, for the import takes seconds."""
    from mlflow import MlflowClient

    leave_feast_out()
    return MlflowClient(tracking_uri, tracking_uri)
