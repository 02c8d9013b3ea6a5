"""Every service as a process of its own, as its console script starts it."""

import hashlib
import os
import subprocess
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from bench.memory.streams import CANARY, MODEL, contract
from bench.serving.model import NUMBERS, write_model

from event_schemas import EventBody, ModelApproved, ModelTrained, RolloutStep
from event_schemas.model import Artifact, ModelVersion
from event_schemas.policy import DriftPolicy, Feature, Policies, RolloutPolicy
from local.process import free_port


@dataclass
class Service:
    """One process.

    Attributes:
        name: Of the service, and of its part where it has two.
        group: Under which it says how far it has read; none: it only writes.
        topics: What it reads, or else writes, in bulk.
    """

    name: str
    words: tuple[str, ...]
    topics: tuple[str, ...]
    group: str | None
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def start(self, stack: ExitStack, folder: Path, environment: dict[str, str]) -> None:
        """Run it until the stack ends."""
        log = stack.enter_context((folder / f"{self.name}.log").open("wb"))
        self.process = subprocess.Popen(
            [sys.executable, "-m", *self.words],
            env={**environment, "HTTP_PORT": str(self.port)},
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder,
        )
        stack.callback(self._stop)

    def _stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def resident(self) -> float:
        """Memory of the process and of its children, in MB."""
        assert self.process is not None
        if self.process.poll() is not None:
            raise SystemExit(f"{self.name} ended with code {self.process.returncode}")
        return sum(_resident(pid) for pid in (self.process.pid, *_children(self.process.pid)))


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            found += map(int, (task / "children").read_text().split())
        except OSError:
            continue
    return found


def _resident(pid: int) -> float:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def services() -> list[Service]:
    """All that there are; the predictor's log is what both processes of the monitor read."""
    return [
        Service("predictor", ("predictor",), ("prediction.logged",), None),
        Service(
            "drift-windows",
            ("drift_monitor", "windows"),
            ("prediction.logged", "label.arrived"),
            "drift-monitor",
        ),
        Service(
            "drift-watch", ("drift_monitor", "watch"), ("prediction.logged",), "drift-monitor-watch"
        ),
        Service("ingest", ("ingest",), ("record.received",), "ingest"),
        Service("deployer", ("deployer",), ("arm.measured",), "deployer"),
        Service("trainer", ("trainer",), ("data.arrived",), "trainer"),
    ]


def environment(folder: Path, bootstrap: str, models: Path) -> dict[str, str]:
    """What the services are told; nothing of the shell's but the path."""
    contract(folder / "models")
    # The trainer reads models, ingest datasets: here they lie in two folders.
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "KAFKA_BOOTSTRAP_SERVERS": bootstrap,
        "LOG_LEVEL": "WARNING",
        "LAKE_URI": str(folder / "lake"),
        "MODELS_DIR": str(models),
        "MODEL_CACHE": str(folder / "cache"),
        "MLFLOW_TRACKING_URI": str(folder),
        "SPOOL_DIR": str(folder / "spool"),
        "REPORT_DIR": str(folder / "reports"),
        "WORK_DIR": str(folder / "work"),
        "OMP_NUM_THREADS": "1",
        "DO_NOT_TRACK": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }


def beginnings(folder: Path) -> list[tuple[str, EventBody]]:
    """Versions that serve and are judged, before anything is asked; with the ids of the events."""
    write_model(folder)
    rng = np.random.default_rng(3)
    columns = {name: rng.normal(size=5000) for name in NUMBERS} | {"score": rng.random(5000)}
    reference = folder / "reference.parquet"
    pq.write_table(pa.table(columns), reference)
    served = _version(MODEL, "1", folder / "model.onnx", reference)
    step = RolloutStep(
        model=MODEL,
        rollout_id="bench",
        sequence=0,
        phase="stable",
        champion=served,
        weight=0.0,
        salt="bench",
        reason="bench",
        outcome="promoted",
    )
    found: list[tuple[str, EventBody]] = [
        ("trained", ModelTrained(model=MODEL, version=served, data=(), metrics=())),
        ("step", step),
    ]
    for number in ("1", "2"):
        version = _version(CANARY, number, folder / "model.onnx", reference)
        approved = ModelApproved(model=CANARY, version=version, approved_by="bench")
        found.append(("approved" if number == "2" else "first", approved))
    return found


def _version(model: str, number: str, onnx: Path, reference: Path) -> ModelVersion:
    return ModelVersion(
        model=model,
        version=number,
        run_id="bench",
        artifact=Artifact(uri=str(onnx), sha256=_digest(onnx), format="onnx"),
        reference=Artifact(uri=str(reference), sha256=_digest(reference), format="parquet"),
        reference_loss=0.7,
        reference_loss_std=0.5,
        features=tuple(Feature(name=n, kind="number", source="request") for n in NUMBERS),
        trained_at=datetime(2026, 1, 1, tzinfo=UTC),
        policies=Policies(
            drift=DriftPolicy(
                window=timedelta(hours=2),
                slice=timedelta(hours=1),
                lateness=timedelta(minutes=10),
                label_ttl=timedelta(hours=1),
            ),
            # The canary is to go on: what is measured of it decides nothing.
            rollout=RolloutPolicy(min_labelled=10_000_000),
        ),
    )


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
