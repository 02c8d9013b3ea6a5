"""MLflow's server on a SQLite file, with its artifacts beside it."""

import sys
from pathlib import Path

from local.endpoint import Endpoint, Protocol
from local.servers.python import QUIET, thread_limits
from local.servers.server import LOOPBACK, Server, Stage, package


def server(data: Path, port: int) -> Server:
    """An MLflow server that keeps runs and models in the folder `data`.

    Raises:
        ServerError: Its package is not installed.
    """
    package("mlflow", "mlflow")
    return Server(
        name="mlflow",
        command=(
            *(sys.executable, "-m", "mlflow", "server", "--workers", "1"),
            *("--host", LOOPBACK, "--port", str(port)),
            *("--backend-store-uri", f"sqlite:///{data / 'mlflow.db'}"),
            *("--serve-artifacts", "--artifacts-destination", str(data / "artifacts")),
            *("--uvicorn-opts", "--no-access-log"),
        ),
        port=port,
        port_variable="MLFLOW_PORT",
        endpoint=Endpoint(Protocol.HTTP, f"http://{LOOPBACK}:{port}", "/health"),
        stage=Stage.STORE,
        # Jobs would cost eight processes, 1.4 GB and ten seconds, and nothing here uses them.
        environment=thread_limits(1) | QUIET | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"},
        stop_children=True,
    )
