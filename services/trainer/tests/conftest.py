"""Builders that the trainer's tests share."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from event_schemas.base import TimeRange
from event_schemas.model import Artifact, DataVersion, ModelVersion
from event_schemas.policy import Feature, Policies, RetrainPolicy
from servicekit.event import Event
from trainer.domain.failure import TrainingError
from trainer.domain.gates import Gate
from trainer.domain.measures import Measure
from trainer.ports import (
    ModelDefinition,
    Registered,
    TrainingPlan,
    TrainingResult,
    TrainingTask,
)

START = datetime(2013, 4, 1, tzinfo=UTC)
MODEL = "flight_delay"


@dataclass
class MemoryCatalog:
    """Definitions that a test gives."""

    definitions: list[ModelDefinition]
    problems_of: dict[str, str | None] = field(default_factory=dict)

    def find(self, model: str) -> ModelDefinition | None:
        return next((d for d in self.definitions if d.model == model), None)

    def problems(self) -> Mapping[str, str | None]:
        return self.problems_of

    def trained_on(self, dataset: str) -> Sequence[ModelDefinition]:
        return [d for d in self.definitions if d.training.dataset == dataset]


@dataclass
class MemoryRegistry:
    """`Runs` and `Versions` that keep all in memory, with MLflow's promises."""

    folder: Path
    runs: list[dict] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)
    aliases: dict[str, str] = field(default_factory=dict)
    failures: list[Exception] = field(default_factory=list)
    """Raised by the next registrations."""

    def begin(self, definition: ModelDefinition, request_id: str, tags: Mapping[str, str]) -> str:
        for run in self.runs:
            if run["request"] == request_id:
                run["status"] = "KILLED"
        run_id = f"run{len(self.runs) + 1}"
        self.runs.append(
            {"id": run_id, "model": definition.model, "request": request_id, "status": "RUNNING"}
        )
        return run_id

    def conclude(self, run_id: str, outcome: str, *, failed: bool) -> None:
        run = next(r for r in self.runs if r["id"] == run_id)
        run |= {"outcome": outcome, "status": "FAILED" if failed else "FINISHED"}

    def register(
        self, run_id: str, definition: ModelDefinition, result: TrainingResult
    ) -> Registered:
        if self.failures:
            raise self.failures.pop(0)
        version = str(len(self.versions) + 1)
        path = self.folder / f"{definition.model}-{version}.onnx"
        path.write_bytes(result.artifact)
        self.versions.append(run_id)
        return Registered(
            version,
            Artifact(uri=str(path), sha256="0" * 64, format="onnx"),
            Artifact(uri=f"memory:/{version}", sha256="1" * 64, format="parquet"),
        )

    def point(self, model: str, alias: str, version: str) -> None:
        self.aliases[alias] = version

    def withdraw(self, model: str, alias: str) -> None:
        self.aliases.pop(alias, None)

    def fetch(self, artifact: Artifact) -> Path:
        path = Path(artifact.uri)
        if not path.exists():
            raise TrainingError("evaluate", f"{path} is gone")
        return path


@dataclass
class ScriptedTraining:
    """Answers what a test lays down, and remembers the tasks."""

    answers: list[TrainingResult | Exception]
    tasks: list[TrainingTask] = field(default_factory=list)

    def train(self, task: TrainingTask) -> TrainingResult:
        self.tasks.append(task)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@dataclass
class FixedChampion:
    """The champion that a test names."""

    version: ModelVersion | None = None

    def current(self, model: str) -> ModelVersion | None:
        return self.version


@dataclass
class MemoryVerdicts:
    """Decisions of which a test says that they were told."""

    ids: set[str] = field(default_factory=set)

    def told(self, decision_id: str) -> bool:
        return decision_id in self.ids


Define = Callable[..., ModelDefinition]


@pytest.fixture(scope="session")
def define() -> Define:
    """Makes a definition; keywords go to the retrain policy."""

    def build(model: str = MODEL, **retrain) -> ModelDefinition:
        policy = {"cooldown": timedelta(days=10), "min_new_rows": 100} | retrain
        return ModelDefinition(
            model=model,
            features=(Feature(name="x", kind="number", source="request"),),
            policies=Policies(retrain=RetrainPolicy(**policy)),
            training=TrainingPlan(dataset="flights", label="late"),
            pipeline=Path("pipeline.py"),
            digest="0" * 64,
        )

    return build


@pytest.fixture(scope="session")
def make_result() -> Callable[..., TrainingResult]:
    """Makes the result of a training; the gates pass unless said otherwise."""

    def build(*, verdict: str = "passed", artifact: bytes = b"onnx") -> TrainingResult:
        return TrainingResult(
            artifact=artifact,
            reference=b"parquet",
            data=(
                DataVersion(
                    dataset="flights",
                    table_uri="lake/flights",
                    table_version=7,
                    rows=1000,
                    event_time=TimeRange(start=START, end=START + timedelta(days=30)),
                ),
            ),
            measures=(Measure("log_loss", 0.45, 0.44, 0.46, 200),),
            parity=1e-7,
            loss_mean=0.45,
            loss_std=0.6,
            train_rows=800,
            holdout_rows=200,
            gates=(Gate("parity", 1e-7, 1e-5, verdict, "a sentence"),),  # type: ignore[arg-type]
            stages={"fit": 0.1},
        )

    return build


@pytest.fixture(scope="session")
def make_version() -> Callable[[str], ModelVersion]:
    """Makes a version of the flights model."""

    def build(version: str) -> ModelVersion:
        return ModelVersion(
            model=MODEL,
            version=version,
            run_id=f"run{version}",
            artifact=Artifact(uri=f"memory:/{version}", sha256="0" * 64, format="onnx"),
            features=(Feature(name="x", kind="number", source="request"),),
            trained_at=START,
        )

    return build


@pytest.fixture(scope="session")
def wrap() -> Callable[..., Event]:
    """Puts a body into an envelope."""

    def build(body, **envelope) -> Event:
        return Event(body=body, source="/test", time=START, **envelope)

    return build


@pytest.fixture
def registry(tmp_path: Path) -> MemoryRegistry:
    return MemoryRegistry(tmp_path)


@pytest.fixture(scope="session")
def memory_catalog() -> type[MemoryCatalog]:
    return MemoryCatalog


@pytest.fixture(scope="session")
def scripted_training() -> type[ScriptedTraining]:
    return ScriptedTraining


@pytest.fixture
def verdicts() -> MemoryVerdicts:
    return MemoryVerdicts()


@pytest.fixture(scope="session")
def fixed_champion() -> type[FixedChampion]:
    return FixedChampion
