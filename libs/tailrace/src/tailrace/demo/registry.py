"""MLflow as the demo uses it, without what it need not load."""

import importlib
from typing import Any


def mlflow_client(tracking_uri: str) -> Any:
    """An `MlflowClient`.

    MLflow's first request would import Feast, which registers itself as a provider of request
    headers: ten seconds and 190 MB for headers of data sources that nobody here uses.
    """
    from mlflow import MlflowClient
    from mlflow.utils import plugins

    everything = plugins.get_entry_points
    plugins.get_entry_points = lambda group: [e for e in everything(group) if e.name != "feast"]
    try:
        importlib.import_module("mlflow.tracking.request_header.registry")
    finally:
        plugins.get_entry_points = everything
    return MlflowClient(tracking_uri, tracking_uri)
