"""The environment of every server that is a Python process."""

import os

QUIET = {
    "DO_NOT_TRACK": "true",  # MLflow, and Evidently, for which any value will do
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",  # a pickle runs whatever it says
    "FEAST_USAGE": "False",  # releases of Feast before 0.40 counted uses
}
"""Variables that keep every library of the stack from calling home."""


def thread_limits(count: int) -> dict[str, str]:
    """Limits for the pools of numerical libraries, which are as wide as the machine without them.

    Nine processes share the cores: waiting threads must sleep, not spin.
    """
    count = min(count, os.cpu_count() or 1)
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    limits = dict.fromkeys(names, str(count)) | {"OMP_WAIT_POLICY": "PASSIVE"}
    return {name: os.environ.get(name, value) for name, value in limits.items()}
