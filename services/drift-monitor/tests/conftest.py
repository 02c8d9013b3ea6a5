"""Builders: predictions, labels and versions of a small model, and fakes of the ports."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import numpy as np
import pytest

from drift_monitor.app import WindowsLoop, build
from drift_monitor.domain.columns import Column, Columns
from drift_monitor.domain.histograms import jensen_shannon
from drift_monitor.ports import BadReferenceError, ReportFailedError
from drift_monitor.settings import WindowsSettings
from event_schemas import (
    DriftSuspected,
    LabelArrived,
    ModelTrained,
    PredictionLogged,
    RolloutStep,
)
from event_schemas.model import Artifact, ModelVersion
from event_schemas.policy import DriftPolicy, Feature, Policies
from event_schemas.prediction import Latency
from servicekit.errors import UnavailableError
from servicekit.memory import MemoryBus

START = datetime(2013, 1, 3, tzinfo=UTC)  # a Thursday, where the weeks since 1970 begin
MODEL = "flight_delay"


class Make:
    """Builds event bodies; what a test does not name has a sensible value."""

    start = START
    day = timedelta(days=1)
    hour = timedelta(hours=1)

    def __init__(self) -> None:
        self._sequence = count()

    def policy(self, **changes: Any) -> DriftPolicy:
        return DriftPolicy.model_validate({"min_rows": 20, "sample_rows": 100, **changes})

    def version(self, version: str = "1", **changes: Any) -> ModelVersion:
        digest = "0" * 64
        values: dict[str, Any] = {
            "model": MODEL,
            "version": version,
            "run_id": "run",
            "artifact": Artifact(uri="runs:/run/model.onnx", sha256=digest, format="onnx"),
            "reference": Artifact(
                uri=f"runs:/run/{version}.parquet", sha256=digest, format="parquet"
            ),
            "features": (
                Feature(name="distance", kind="number", source="request"),
                Feature(name="carrier", kind="category", source="request"),
                Feature(name="temp", kind="number", source="store", watch=False),
            ),
            "reference_loss": 0.5,
            "reference_loss_std": 0.4,
            "trained_at": START,
            "policies": Policies(drift=changes.pop("drift", self.policy())),
        }
        return ModelVersion.model_validate(values | changes)

    def trained(self, version: ModelVersion) -> ModelTrained:
        return ModelTrained(model=version.model, version=version, data=(), metrics=())

    def step(
        self,
        champion: ModelVersion,
        challenger: ModelVersion | None = None,
        *,
        weight: float = 0.0,
        sequence: int = 0,
    ) -> RolloutStep:
        return RolloutStep(
            model=champion.model,
            rollout_id="r1",
            sequence=sequence,
            phase="canary" if challenger else "stable",
            champion=champion,
            challenger=challenger,
            weight=weight,
            salt="salt",
            reason="a test",
            outcome="running" if challenger else "promoted",
        )

    def prediction(self, number: int | str, after: timedelta, **changes: Any) -> PredictionLogged:
        values: dict[str, Any] = {
            "prediction_id": f"p{number}",
            "model": MODEL,
            "version": "1",
            "arm": "champion",
            "weight": 0.0,
            "salt": "salt",
            "rollout_id": "r1",
            "entity": f"e{number}",
            "features": {"distance": 100.0, "carrier": "UA", "temp": 1.0},
            "score": 0.25,
            "event_time": START + after,
            "latency": Latency(total_ms=2.0),
            "replica": "a",
            "sequence": next(self._sequence) if "sequence" not in changes else 0,
        }
        return PredictionLogged.model_validate(values | changes)

    def label(
        self, number: int | str, label: float, after: timedelta, **changes: Any
    ) -> LabelArrived:
        values = {
            "prediction_id": f"p{number}",
            "model": MODEL,
            "label": label,
            "observed_at": START + after,
        }
        return LabelArrived.model_validate(values | changes)

    def suspected(self, version: str = "1") -> DriftSuspected:
        return DriftSuspected(
            model=MODEL, version=version, detector="adwin", value=1.0, since=START
        )


class FakeReferences:
    """A reference of 200 rows, the same for every version."""

    def __init__(self) -> None:
        self.columns: Columns = {
            "distance": np.full(200, 100.0),
            "carrier": np.array(["UA"] * 200),
            "temp": np.full(200, 1.0),
            "score": np.full(200, 0.25),
        }
        self.outages = 0
        self.bad = False
        self.loaded: list[str] = []

    def warm_up(self) -> None:
        pass

    def load(self, uri: str, sha256: str, columns: Sequence[Column]) -> Columns:
        if self.outages:
            self.outages -= 1
            raise UnavailableError("MLflow is away")
        if self.bad:
            raise BadReferenceError("another file")
        self.loaded.append(uri)
        return self.columns


class FakeReport:
    statistic = "jensenshannon"

    def __init__(self, values: Mapping[str, float], saved: dict[str, bool]) -> None:
        self.values = values
        self.failed: dict[str, str] = {}
        self._saved = saved

    def save(self, name: str, *, html: bool) -> str:
        self._saved[name] = html
        return f"file:///reports/{name}"


class FakeReports:
    """The distance of two histograms of ten bins."""

    def __init__(self) -> None:
        self.saved: dict[str, bool] = {}
        self.rows: list[int] = []
        self.fails = False

    def warm_up(self) -> None:
        pass

    def compare(
        self,
        columns: Sequence[Column],
        reference: Columns,
        current: Columns,
        thresholds: Mapping[str, float],
    ) -> FakeReport:
        if self.fails:
            raise ReportFailedError("the library refused")
        self.rows.append(len(current[columns[0].name]))
        values = {c.name: _distance(reference[c.name], current[c.name]) for c in columns}
        return FakeReport(values, self.saved)


def _distance(left: np.ndarray, right: np.ndarray) -> float:
    names = np.unique(np.concatenate([left, right]))
    return jensen_shannon(
        [int((left == name).sum()) for name in names],
        [int((right == name).sum()) for name in names],
    )


class World:
    """The windows over a bus in memory."""

    def __init__(self, bus: MemoryBus | None = None, **settings: Any) -> None:
        self.bus = bus or MemoryBus()
        self.references = FakeReferences()
        self.reports = FakeReports()
        self._settings = WindowsSettings(**{"jump_votes": 1, **settings})
        self.loop = self.start()

    def start(self) -> WindowsLoop:
        """A new process in place of the old one."""
        [loop] = build(self._settings, self.bus, reports=self.reports, references=self.references)
        assert isinstance(loop, WindowsLoop)
        loop.open()
        self.loop = loop
        return loop

    def table(self, name: str) -> Any:
        """What the process keeps under a name."""
        return next(table for table in self.loop._processor.tables if table.name == name)

    def publish(self, *bodies: Any) -> None:
        """Publish and handle each body before the next."""
        for body in bodies:
            self.bus.publish(body)
            self.run()

    def run(self) -> None:
        while self.loop.step():
            pass

    def out(self, body: type[Any]) -> list[Any]:
        return [event.body for event in self.bus.events(body)]


@pytest.fixture
def make() -> Make:
    return Make()


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def worlds() -> type[World]:
    return World
