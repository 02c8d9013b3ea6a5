"""Builders for the predictor's tests: small real ONNX models, steps, and the service in memory."""

import asyncio
import hashlib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest
from fastapi import FastAPI

from event_schemas import PredictionLogged, RolloutStep
from event_schemas.model import Artifact, ModelVersion
from event_schemas.policy import Feature, Policies, ServingPolicy
from predictor.app import build, shortcut
from predictor.domain.batching import Lookup
from predictor.domain.errors import LoadError
from predictor.domain.features import Cell, Ref, Stored
from predictor.ports import KeptScores
from predictor.serving.routes.follow_rollout import RolloutFollower
from predictor.settings import PredictorSettings
from servicekit.clock import FakeClock
from servicekit.component import Component
from servicekit.errors import UnavailableError
from servicekit.memory import MemoryBus

C = TypeVar("C")

NOW = datetime(2013, 7, 1, 12, tzinfo=UTC)

REQUESTED = (
    Feature(name="carrier", kind="category", source="request"),
    Feature(name="origin", kind="category", source="request"),
    Feature(name="hour", kind="number", source="request", required=False, default=0.0),
)
STORED = (
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


def write_onnx(path: Path, features: Sequence[Feature], bias: float = 0.0) -> Path:
    """A model: sigmoid(bias + the sum of its numbers, missing as 0, + 1 for each carrier UA)."""
    from onnx import TensorProto, checker, helper

    nodes, terms = [], ["bias"]
    for each in features:
        name, term = each.name, f"{each.name}_term"
        if each.kind == "category":
            nodes.append(
                helper.make_node(
                    "LabelEncoder",
                    [name],
                    [term],
                    domain="ai.onnx.ml",
                    keys_strings=["UA"],
                    values_floats=[1.0],
                    default_float=0.0,
                )
            )
        else:
            nodes.append(helper.make_node("IsNaN", [name], [f"{name}_missing"]))
            nodes.append(helper.make_node("Where", [f"{name}_missing", "zero", name], [term]))
        terms.append(term)
    nodes += [
        helper.make_node("Sum", terms, ["logit"]),
        helper.make_node("Sigmoid", ["logit"], ["one"]),
        helper.make_node("Sub", ["unit", "one"], ["other"]),
        helper.make_node("Concat", ["other", "one"], ["probabilities"], axis=1),
        helper.make_node("ArgMax", ["probabilities"], ["label"], axis=1, keepdims=0),
    ]
    kinds = {"number": TensorProto.FLOAT, "category": TensorProto.STRING}
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info(f.name, kinds[f.kind], [None, 1]) for f in features],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, [None]),
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 2]),
        ],
        [
            helper.make_tensor("bias", TensorProto.FLOAT, [1, 1], [bias]),
            helper.make_tensor("zero", TensorProto.FLOAT, [1], [0.0]),
            helper.make_tensor("unit", TensorProto.FLOAT, [1], [1.0]),
        ],
    )
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)],
        ir_version=10,
    )
    checker.check_model(model)
    path.write_bytes(model.SerializeToString())
    return path


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
        self.rows: dict[tuple[str, Any], dict[Ref, Cell]] = {}
        self.reads: list[dict[str, tuple[list[Ref], list[Any]]]] = []
        self.away = False
        self.delay = 0.0
        self.asked = asyncio.Event()
        """Set once somebody waits for the store."""

    def put(self, join_key: str, value: Any, ref: Ref, cell: Any, at: datetime) -> None:
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
        )
        self.follower = self.of(RolloutFollower)
        return self

    def of(self, kind: type[C]) -> C:
        """The component of a kind."""
        (found,) = (each for each in self.components if isinstance(each, kind))
        return found

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

    def run(self, talk: Callable[[httpx.AsyncClient], Coroutine[Any, Any, Any]]) -> Any:
        async def session() -> Any:
            transport = httpx.ASGITransport(shortcut(self.app))
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await talk(client)

        return asyncio.run(session())

    def post(self, body: Any = None, **options: Any) -> httpx.Response:
        if body is not None:
            options["json"] = body
        return self.run(lambda client: client.post("/predict", **options))

    def get(self, path: str) -> Any:
        response = self.run(lambda client: client.get(path))
        assert response.status_code == 200, response.text
        return response.json()

    def logged(self) -> list[PredictionLogged]:
        return [event.body for event in self.bus.events(PredictionLogged)]


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A started service with no model."""
    bus = MemoryBus(FakeClock(NOW))
    return Lab(tmp_path, bus, PredictorSettings(), FolderArtifacts(), TableFeatures()).start()


@pytest.fixture
def serving(lab: Lab) -> Lab:
    """A service with one champion, version 1."""
    return lab.announce(lab.step(0, lab.version(1)))


@pytest.fixture
def with_store(lab: Lab) -> Lab:
    """A service whose champion takes one stored feature, the weather at the origin."""
    return lab.announce(lab.step(0, lab.version(1, REQUESTED + STORED)))


@pytest.fixture
def requested() -> tuple[Feature, ...]:
    """The request features of the tiny model: carrier, origin, hour (not required)."""
    return REQUESTED


@pytest.fixture
def stored() -> tuple[Feature, ...]:
    """The stored feature of the tiny model: temp, by origin, at most two hours old."""
    return STORED


@pytest.fixture
def onnx_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes a tiny model that takes some features."""
    return lambda features, bias=0.0: write_onnx(tmp_path / "model.onnx", features, bias)


@pytest.fixture
def body() -> dict[str, Any]:
    """A good request."""
    return {
        "model": "flight_delay",
        "entity_id": "UA1",
        "features": {"carrier": "UA", "origin": "EWR", "hour": 0.5},
        "event_time": "2013-07-01T10:00:00Z",
    }
