"""The predictor in memory: tests announce versions to it, ask it, and read what it logs."""

import asyncio
import hashlib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import httpx
from fastapi import FastAPI
from services.predictor.tests.tiny_onnx import write_onnx

from event_schemas import PredictionLogged, RolloutStep
from event_schemas.model import Artifact, ModelVersion
from event_schemas.policy import Feature, Policies, ServingPolicy
from predictor.app import build, shortcut
from predictor.domain.batching import Lookup
from predictor.domain.errors import LoadError
from predictor.domain.features import Cell, Ref, Stored, Value
from predictor.ports import KeptScores
from predictor.serving.routes.follow_rollout import RolloutFollower
from predictor.serving.routes.loaded import LoadedVersion
from predictor.settings import PredictorSettings
from servicekit.clock import FakeClock
from servicekit.component import Component
from servicekit.errors import UnavailableError
from servicekit.memory import MemoryBus

C = TypeVar("C")
T = TypeVar("T")

Json: TypeAlias = dict[str, Any]
"""An object as a client writes or reads it, good or not."""
Features: TypeAlias = tuple[Feature, ...]

NOW = datetime(2013, 7, 1, 12, tzinfo=UTC)

REQUESTED: Features = (
    Feature(name="carrier", kind="category", source="request"),
    Feature(name="origin", kind="category", source="request"),
    Feature(name="hour", kind="number", source="request", required=False, default=0.0),
)
STORED: Features = (
    Feature(
        name="temp",
        kind="number",
        source="store",
        view="weather",
        field="temperature",
        join_key="origin",
        required=False,
        max_age_seconds=7200,
    ),
)


class FolderArtifacts:
    """Files where they lie; each URI can be made to fail."""

    def __init__(self) -> None:
        self.fetched: list[str] = []
        self.outages: dict[str, int] = {}
        """How often a URI cannot be read yet."""

    def warm_up(self) -> None: ...

    def fetch(self, uri: str, sha256: str) -> Path:
        if self.outages.get(uri, 0) > 0:
            self.outages[uri] -= 1
            raise UnavailableError(f"{uri} cannot be downloaded now")
        self.fetched.append(uri)
        if hashlib.sha256(Path(uri).read_bytes()).hexdigest() != sha256:
            raise LoadError("sha256", f"{uri} has another sha256")
        return Path(uri)


class TableFeatures:
    """A store in memory, which counts its reads and can be away."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, Value], dict[Ref, Cell]] = {}
        self.reads: list[dict[str, tuple[list[Ref], list[Value]]]] = []
        self.away = False
        self.delay = 0.0
        self.asked = asyncio.Event()
        """Set once somebody waits for the store."""

    def put(self, join_key: str, value: Value, ref: Ref, cell: object, at: datetime) -> None:
        self.rows.setdefault((join_key, value), {})[ref] = cell, at.timestamp()

    def warm_up(self) -> None: ...

    def prepare(self, lookups: Mapping[str, Sequence[Ref]]) -> None:
        pass

    async def read(self, wanted: Mapping[str, Lookup]) -> Stored:
        self.reads.append({k: (list(w.refs), list(w.values)) for k, w in wanted.items()})
        self.asked.set()
        await asyncio.sleep(self.delay)
        if self.away:
            raise UnavailableError("connection refused")
        return self.rows

    async def close(self) -> None:
        pass


@dataclass
class Lab:
    """The service over a bus in memory, with real ONNX models."""

    folder: Path
    bus: MemoryBus
    settings: PredictorSettings
    artifacts: FolderArtifacts
    features: TableFeatures
    scores: KeptScores | None = None
    follower: RolloutFollower = field(init=False)
    app: FastAPI = field(init=False)
    components: Sequence[Component] = field(init=False)

    def start(self, **settings: Any) -> "Lab":
        self.settings = self.settings.model_copy(update=settings)
        self.components, self.app = build(
            self.settings,
            self.bus,
            artifacts=self.artifacts,
            features=self.features,
            scores=self.scores,
            clock=self.bus.clock,
            try_first=lambda _, open_model: open_model,  # a process a file would take seconds
        )
        self.follower = self.of(RolloutFollower)
        return self

    def of(self, kind: type[C]) -> C:
        """The component of a kind."""
        (found,) = (each for each in self.components if isinstance(each, kind))
        return found

    def champion(self) -> LoadedVersion:
        """The version that answers where no challenger does."""
        return self.follower.routes.of("flight_delay").champion.version

    def challenger(self) -> LoadedVersion:
        """The version that runs beside the champion."""
        arm = self.follower.routes.of("flight_delay").challenger
        assert arm is not None
        return arm.version

    def version(
        self,
        number: int,
        features: Sequence[Feature] = REQUESTED,
        *,
        bias: float = 0.0,
        model: str = "flight_delay",
        serving: ServingPolicy | None = None,
        **artifact: Any,
    ) -> ModelVersion:
        path = self.folder / f"{model}-{number}.onnx"
        if not path.exists():
            write_onnx(path, features, bias)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return ModelVersion(
            model=model,
            version=str(number),
            run_id="run",
            artifact=Artifact(**{"uri": str(path), "sha256": digest, "format": "onnx", **artifact}),
            features=tuple(features),
            trained_at=datetime(2013, 2, 1, tzinfo=UTC),
            policies=Policies(serving=serving or ServingPolicy()),
        )

    def step(
        self,
        sequence: int,
        champion: ModelVersion,
        challenger: ModelVersion | None = None,
        *,
        weight: float = 0.0,
        salt: str = "salt",
    ) -> RolloutStep:
        return RolloutStep(
            model=champion.model,
            rollout_id=f"rollout-{sequence}",
            sequence=sequence,
            phase="canary" if challenger else "stable",
            champion=champion,
            challenger=challenger,
            weight=weight,
            salt=salt,
            reason="test",
            outcome="running" if challenger else "promoted",
        )

    def announce(self, *steps: RolloutStep) -> "Lab":
        for step in steps:
            self.bus.publish(step)
        self.follower.step()
        return self

    def run(self, talk: Callable[[httpx.AsyncClient], Coroutine[None, None, T]]) -> T:
        """What a caller gets of the service within one life of the event loop."""

        async def session() -> T:
            transport = httpx.ASGITransport(shortcut(self.app))
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await talk(client)

        return asyncio.run(session())

    def post(self, body: object = None, **options: Any) -> httpx.Response:
        if body is not None:
            options["json"] = body
        return self.run(lambda client: client.post("/predict", **options))

    def get(self, path: str) -> Json:
        response = self.run(lambda client: client.get(path))
        assert response.status_code == 200, response.text
        return response.json()

    def pass_time(self, span: timedelta) -> None:
        """Let the clock of the service go on."""
        assert isinstance(self.bus.clock, FakeClock)
        self.bus.clock.advance(span)

    def logged(self) -> list[PredictionLogged]:
        return [event.body for event in self.bus.events(PredictionLogged)]


def score(logged: PredictionLogged) -> float:
    """The score of a prediction that has one."""
    assert logged.score is not None, logged.error
    return logged.score


def error(logged: PredictionLogged) -> str:
    """Why a prediction has no score."""
    assert logged.error is not None
    return logged.error


async def until(condition: Callable[[], object]) -> None:
    """Wait until a condition holds, of which nothing tells."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - what is waited for says nothing by itself
            await asyncio.sleep(0.001)
