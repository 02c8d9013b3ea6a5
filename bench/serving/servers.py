"""The other servers: each in an environment of its own, with its best settings for single rows.

What "best" is was found by trial on one core at 32 connections; `settings` says it in the table.
"""

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from bench.serving.environment import ENVIRONMENTS

HERE = Path(__file__).parent
PLAIN = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
"""One core: threads of the numeric libraries would only wait for each other."""

MLSERVER = "from mlserver.cli import main; main()"
"""Its console script, without the path that uv writes into it."""


@dataclass(frozen=True)
class Server:
    """How to start a server, and what to ask it."""

    key: str
    """For `--only`."""
    name: str
    role: str
    """`peer`, `peer with ONNX`, `ours` or `floor`."""
    settings: str
    command: tuple[str, ...]
    """`{port}` and `{folder}` are filled in."""
    bodies: str
    """See `model.bodies`."""
    path: str
    ready: str
    """A page that answers 200 when it can serve."""
    env: dict[str, str] = field(default_factory=dict)
    requirements: str | None = None
    """Names a file in `locks/bench`; None: this environment."""

    @property
    def python(self) -> str:
        """The interpreter that runs it."""
        if self.requirements is None:
            return sys.executable
        return str(ENVIRONMENTS / self.requirements / "bin" / "python")


def peers(runtime: str = "sklearn") -> list[Server]:
    """The peers, with the model as scikit-learn or as ONNX."""
    env = {**PLAIN, "RUNTIME": runtime, "PYTHONPATH": str(HERE / "peers")}
    suffix, tail, role = ("", "", "peer")
    if runtime == "onnx":
        suffix, tail, role = (", ONNX", "-onnx", "peer with ONNX")
    mlserver = Server(
        key=f"mlserver{tail}",
        role=role,
        name=f"MLServer{suffix}",
        settings="adaptive batching of 64 / 5 ms, model in the server's process, no access log",
        command=("-c", MLSERVER, "start", f"{{folder}}/mlserver-{runtime}"),
        bodies="oip",
        path="/v2/models/m/infer",
        ready="/v2/models/m/ready",
        requirements="mlserver",
        env=env,
    )
    litserve = Server(
        key=f"litserve{tail}",
        role=role,
        name=f"LitServe{suffix}",
        settings="batches of 64 / 2 ms, fast queue, one worker, one API server",
        command=(str(HERE / "peers" / "litserve_app.py"), "{port}"),
        bodies="row",
        path="/predict",
        ready="/health",
        requirements="litserve",
        env=env,
    )
    bentoml = Server(
        key=f"bentoml{tail}",
        role=role,
        name=f"BentoML{suffix}",
        settings="adaptive batches of 64, one worker, no access log, metrics or tracing",
        command=("-m", "bentoml", "serve", "bentoml_app:Model", "--port", "{port}"),
        bodies="batchable",
        path="/predict",
        ready="/readyz",
        requirements="bentoml",
        env={**env, "BENTOML_DO_NOT_TRACK": "true"},
    )
    if runtime == "onnx":
        return [mlserver, litserve, bentoml]
    mlflow = Server(
        key="mlflow",
        role=role,
        name="mlflow models serve",
        settings="one worker, tensors without a signature, no access log",
        command=(
            *("-m", "mlflow", "models", "serve", "-m", "{folder}/mlflow", "-p", "{port}"),
            *("--env-manager", "local", "--workers", "1"),
        ),
        bodies="mlflow",
        path="/invocations",
        ready="/ping",
        requirements="mlflow",
        env={**env, "MLFLOW_DISABLE_TELEMETRY": "true"},
    )
    return [mlserver, litserve, bentoml, mlflow]


def prepare(server: Server, folder: Path) -> str | None:
    """Make what a server serves, with `peers/<name>_prepare.py`; returns what went wrong."""
    script = HERE / "peers" / f"{server.requirements}_prepare.py"
    if not script.exists():
        return None
    done = subprocess.run(
        [server.python, str(script), str(folder), server.env["RUNTIME"]],
        capture_output=True,
        text=True,
        env={**PLAIN, "PATH": "/usr/bin:/bin", "HOME": str(folder)},
    )
    return f"its model could not be made: {done.stderr.strip()[-400:]}" if done.returncode else None
