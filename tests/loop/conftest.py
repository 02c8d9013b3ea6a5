"""The whole loop over a bus in memory: five services as `build` wires them, and a small world.

What lies outside the services is in memory as well: the lake, the registry and the references. The
files are the models that the predictor loads, and the contract of the one dataset.
"""

import asyncio
import json
import math
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from starlette.types import ASGIApp

import deployer.app
import drift_monitor.app
import ingest.app
import predictor.app
import trainer.app
from deployer.settings import DeployerSettings
from drift_monitor.domain.columns import Column, Columns
from drift_monitor.domain.histograms import jensen_shannon
from drift_monitor.settings import WindowsSettings
from event_schemas import BY_TYPE, EventBody, ModelApproved, RolloutStep
from event_schemas.base import TimeRange
from event_schemas.model import Artifact, DataVersion, ModelVersion
from event_schemas.policy import (
    DriftPolicy,
    Feature,
    GatePolicy,
    Policies,
    RetrainPolicy,
    RolloutPolicy,
)
from event_schemas.task import BINARY
from ingest.domain.contract import Contract
from ingest.domain.once import Held
from ingest.domain.row import Row
from ingest.ports import Commit, TableState
from ingest.settings import IngestSettings
from predictor.adapters.features.feast_features import NoFeatures
from predictor.adapters.models.onnx_model import OnnxModel
from predictor.domain.features import Input
from predictor.settings import PredictorSettings
from servicekit.bus import Message
from servicekit.clock import FakeClock
from servicekit.cloudevents import decode, encode
from servicekit.event import Event
from servicekit.http import add_ops_routes
from servicekit.memory import MemoryBus
from trainer.domain import gates
from trainer.domain.failure import TrainingError
from trainer.domain.measures import evaluate
from trainer.domain.targets import losses
from trainer.ports import ModelDefinition, Registered, TrainingPlan, TrainingResult, TrainingTask
from trainer.settings import TrainerSettings

START = datetime(2013, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)
MODEL = "late"
DATASET = "trips"
TRIPS = 150
"""Trips a day."""
HISTORY = 300
"""Trips of the two days before the first request."""
NOISE = 20
"""One trip in so many turns out against the rule of its season."""
CONTRACT = f"""
dataset: {DATASET}
columns:
  x: {{type: number, required: true, min: 0, max: 1}}
  late: {{type: integer, required: true, allowed: [0, 1]}}
"""
POLICIES = Policies(
    gate=GatePolicy(min_rows=20),
    drift=DriftPolicy(
        window=DAY,
        slice=DAY,
        lateness=timedelta(hours=1),
        label_ttl=10 * DAY,
        min_rows=50,
        sample_rows=200,
        feature_threshold=0.4,
        consecutive=1,
        loss_tolerance=0.2,
    ),
    rollout=RolloutPolicy(
        steps=(0.1, 0.5, 1.0), min_labelled=10, error_margin=0.9, probation_labelled=100
    ),
    retrain=RetrainPolicy(cooldown=DAY, min_new_rows=100, volume_rows=HISTORY),
)


def write_onnx(weight: float, bias: float) -> bytes:
    """A model: sigmoid(weight · x + bias)."""
    from onnx import TensorProto, helper

    def number(name: str, value: float) -> Any:
        return helper.make_tensor(name, TensorProto.FLOAT, [1, 1], [value])

    graph = helper.make_graph(
        [
            helper.make_node("Mul", ["x", "weight"], ["product"]),
            helper.make_node("Add", ["product", "bias"], ["logit"]),
            helper.make_node("Sigmoid", ["logit"], ["one"]),
            helper.make_node("Sub", ["unit", "one"], ["other"]),
            helper.make_node("Concat", ["other", "one"], ["probabilities"], axis=1),
            helper.make_node("ArgMax", ["probabilities"], ["label"], axis=1, keepdims=0),
        ],
        "counted",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 1])],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, [None]),
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 2]),
        ],
        [number("weight", weight), number("bias", bias), number("unit", 1.0)],
    )
    opset = helper.make_opsetid("", 18)
    return helper.make_model(graph, opset_imports=[opset], ir_version=10).SerializeToString()


class MemoryTable:
    """A table of the lake."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.rows: list[Row] = []
        self.commits: list[Commit] = []

    def append(
        self,
        rows: Sequence[Row],
        note: str,
        positions: Mapping[int, Held],
        known: Mapping[int, Held | None],
    ) -> Commit:
        self.rows.extend(rows)
        version = len(self.commits)
        commit = Commit(f"{self.uri}@{version}", version, len(self.rows), note, dict(positions))
        self.commits.append(commit)
        return commit

    def recent_commits(self) -> Sequence[Commit]:
        return list(self.commits)

    def recent_ids(self, limit: int) -> Sequence[str]:
        return [row.event_id for row in self.rows][-limit:]

    def position(self, partition: int) -> Held | None:
        held = [c.positions[partition] for c in self.commits if partition in c.positions]
        return held[-1] if held else None


class MemoryLake:
    """Tables that outlive the processes that write them."""

    def __init__(self) -> None:
        self.tables: dict[str, MemoryTable] = {}

    def table(self, name: str) -> MemoryTable:
        return self.tables.setdefault(name, MemoryTable(f"memory:/{name}"))

    def data(self, contract: Contract) -> MemoryTable:
        return self.table(contract.dataset)

    def quarantine(self, name: str) -> MemoryTable:
        return self.table(f"quarantine/{name}")

    def state(self, dataset: str) -> TableState | None:
        table = self.table(dataset)
        return TableState(len(table.commits) - 1, len(table.rows)) if table.commits else None


class OneModel:
    """The trainer's catalog, the registry and its files: all that is known of the one model."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.definition = ModelDefinition(
            model=MODEL,
            features=(Feature(name="x", kind="number", source="request"),),
            policies=POLICIES,
            training=TrainingPlan(dataset=DATASET, label="late", window=DAY),
            pipeline=Path("pipeline.py"),
            digest="0" * 64,
        )
        """By request id."""
        self.runs: list[str] = []
        """Request id of each run."""
        self.files: list[bytes] = []
        """Reference of each version, the first one's first."""
        self.aliases: dict[str, str] = {}

    def find(self, model: str) -> ModelDefinition | None:
        return self.definition if model == MODEL else None

    def problems(self) -> Mapping[str, str | None]:
        return {}

    def trained_on(self, dataset: str) -> Sequence[ModelDefinition]:
        return [self.definition] if dataset == DATASET else []

    def begin(self, definition: ModelDefinition, request_id: str, tags: Mapping[str, str]) -> str:
        self.runs.append(request_id)
        return str(len(self.runs) - 1)

    def conclude(self, run_id: str, outcome: str, *, failed: bool) -> None:
        """Nobody reads it again."""

    def register(
        self, run_id: str, definition: ModelDefinition, result: TrainingResult
    ) -> Registered:
        return self.keep(result.artifact, result.reference, result.format)

    def keep(self, artifact: bytes, reference: bytes, form: str = "onnx") -> Registered:
        self.files.append(reference)
        version = str(len(self.files))
        path = self.folder / f"{version}.{form}"
        path.write_bytes(artifact)
        return Registered(
            version,
            Artifact(uri=str(path), sha256=sha256(artifact).hexdigest(), format=form),
            Artifact(uri=version, sha256=sha256(reference).hexdigest(), format="parquet"),
        )

    def point(self, model: str, alias: str, version: str) -> None:
        self.aliases[alias] = version

    def withdraw(self, model: str, alias: str) -> None:
        self.aliases.pop(alias, None)

    def fetch(self, artifact: Artifact) -> Path:
        return Path(artifact.uri)

    def warm_up(self) -> None:
        pass

    def load(self, uri: str, sha256: str, columns: Sequence[Column]) -> Columns:
        reference = json.loads(self.files[int(uri) - 1])
        return {name: np.array(values) for name, values in reference.items()}


class Files:
    """The registry's files, as the predictor asks for them."""

    def warm_up(self) -> None: ...

    def fetch(self, uri: str, sha256: str) -> Path:
        return Path(uri)


class CountingTraining:
    """Learns how often trips are late for each x: what it knows is what the lake says by then."""

    def __init__(self, lake: MemoryLake) -> None:
        self._lake = lake

    def train(self, task: TrainingTask) -> TrainingResult:
        plan = task.definition.training
        table = self._lake.table(plan.dataset)
        start = task.until - (plan.window or DAY)
        rows = [row for row in table.rows if start <= row.event_time <= task.until]
        if not rows:
            raise TrainingError("read", f"no rows between {start} and {task.until}")
        xs = np.array([row.columns["x"] for row in rows])
        labels = np.array([float(row.columns["late"]) for row in rows])
        held_out = np.arange(len(rows)) % 5 == 0
        logits = [_logit(labels[(xs == x) & ~held_out]) for x in (0, 1)]
        artifact = write_onnx(logits[1] - logits[0], logits[0])
        xs, labels = xs[held_out], labels[held_out]
        scores = 1 / (1 + np.exp(-np.where(xs == 1, logits[1], logits[0])))
        found = losses(BINARY, labels, scores)
        rules = gates.GateRules(min_rows=task.definition.policies.gate.min_rows)
        coin = np.full(len(xs), math.log(2))
        compared = [gates.beats_constant("base_rate", found, coin, "a coin")]
        if task.champion is not None:
            model = OnnxModel(task.champion, [Input("x", "number")])
            rival = np.array(model.answers([[x] for x in xs.tolist()]))
            name = task.champion_name
            compared.append(
                gates.loss("log_loss", found, losses(BINARY, labels, rival), name, rules)
            )
        reference = {"x": xs.tolist(), "label": labels.tolist(), "score": scores.tolist()}
        return TrainingResult(
            artifact=artifact,
            reference=json.dumps(reference).encode(),
            data=(
                DataVersion(
                    dataset=plan.dataset,
                    table_uri=table.uri,
                    table_version=len(table.commits) - 1,
                    rows=len(rows),
                    event_time=TimeRange(start=start, end=task.until),
                ),
            ),
            measures=evaluate(BINARY, labels, scores),
            parity=0.0,
            loss_mean=float(found.mean()),
            loss_std=float(found.std()),
            train_rows=int((~held_out).sum()),
            holdout_rows=int(held_out.sum()),
            gates=(gates.min_rows(len(labels), rules), *compared),
            stages={},
        )


def _logit(labels: np.ndarray) -> float:
    """Of the share of late trips, with one late and one punctual trip added."""
    late = labels.sum() + 1
    return math.log(late / (len(labels) + 2 - late))


@dataclass
class Distances:
    """A drift report that nobody has to keep."""

    values: Mapping[str, float]
    statistic: str = "jensenshannon"
    failed: Mapping[str, str] = field(default_factory=dict)

    def save(self, name: str, *, html: bool) -> str:
        return f"memory:/{name}"


class CountedReports:
    """Compares columns by how often each value occurs."""

    def warm_up(self) -> None:
        pass

    def compare(
        self,
        columns: Sequence[Column],
        reference: Columns,
        current: Columns,
        thresholds: Mapping[str, float],
    ) -> Distances:
        def distance(left: np.ndarray, right: np.ndarray) -> float:
            values = np.unique(np.concatenate([left, right]))
            return jensen_shannon(
                *([int((side == value).sum()) for value in values] for side in (left, right))
            )

        return Distances({c.name: distance(reference[c.name], current[c.name]) for c in columns})


class Loop:
    """The world, day by day, and the five services in it.

    A trip with x = 1 is late as a rule, and one with x = 0 is not; after `changed` it is the other
    way round.
    """

    model = MODEL
    trips = TRIPS
    training = CountingTraining
    """Learns from the lake."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        datasets = folder / "models" / MODEL / "datasets"
        datasets.mkdir(parents=True)
        (datasets.parent / "model.yaml").write_text(f"model: {MODEL}\n")
        (datasets / "trips.yaml").write_text(CONTRACT)
        self.clock = FakeClock(START)
        self.bus = MemoryBus(self.clock)
        self.lake = MemoryLake()
        self.known = OneModel(folder)
        self.changed = False
        self.today = 0
        self.start()

    def start(self) -> None:
        """New processes in place of the old ones; the bus and the stores are what they were."""
        bus = self.bus
        sink, self.ingest = ingest.app.build(
            IngestSettings(models_dir=self._folder / "models", linger_seconds=0),
            bus,
            lake=self.lake,
        )
        training = trainer.app.build(
            TrainerSettings(),
            bus,
            catalog=self.known,
            training=self.training(self.lake),
            runs=self.known,
            versions=self.known,
            clock=self.clock,
        )
        (self.follower,), self.predictor = predictor.app.build(
            PredictorSettings(load_patience_seconds=60),
            bus,
            artifacts=Files(),
            features=NoFeatures(),
            clock=self.clock,
            try_first=lambda _, open_model: open_model,
        )
        monitor = drift_monitor.app.build(
            WindowsSettings(remind_windows=30, jump_votes=1),
            bus,
            reports=CountedReports(),
            references=self.known,
        )
        for api in (self.ingest, self.predictor):
            add_ops_routes(api, (), threading.Event())
        loops: list[Any] = [*sink, *training, *deployer.app.build(DeployerSettings(), bus)]
        self._loops = [*loops, *monitor]
        for loop in self._loops:
            loop.open()
        self._steps = [*(loop.step for loop in self._loops), self.follower.step]  # type: ignore[attr-defined]

    def once(self) -> int:
        """Each loop takes one batch; returns how many messages that were."""
        return sum(step() for step in self._steps)

    def turn(self) -> None:
        """Until nothing moves."""
        for _ in range(200):
            if not self.once():
                return
        raise AssertionError("the services do not come to rest")

    def begin(self) -> None:
        """Send the trips of two days before the first request: enough for a first model."""
        outcomes = [self._trip(-1 - i // TRIPS, i % TRIPS) for i in range(HISTORY)]
        asyncio.run(self._talk([], outcomes))
        self.turn()

    def ask(self, number: int) -> dict[str, Any]:
        """The predictor's answer for one more trip, about which nobody will tell the truth."""
        trip = self._trip(self.today, number)
        trip |= {"id": f"ask-{number}", "time": self.clock.now().isoformat()}
        (answer,) = asyncio.run(self._talk([trip], []))
        return answer

    def day(self) -> list[dict[str, Any]]:
        """Ask about each trip of a day, and tell afterwards what became of it; the answers."""
        trips = [self._trip(self.today, number) for number in range(TRIPS)]
        self.clock.advance(DAY)
        self.today += 1
        return asyncio.run(self._talk(trips, trips))

    def live(self, days: int) -> list[dict[str, Any]]:
        """Some days, each with a turn of the loop at its end; the answers of the last one."""
        answers: list[dict[str, Any]] = []
        for _ in range(days):
            answers = self.day()
            self.turn()
        return answers

    def approve_by_hand(self, weight: float, bias: float) -> Event:
        """A person approves a version that no gate has seen."""
        registered = self.known.keep(write_onnx(weight, bias), b"{}")
        version = ModelVersion(
            model=MODEL,
            version=registered.version,
            run_id="by hand",
            artifact=registered.artifact,
            features=self.known.definition.features,
            trained_at=self.clock.now(),
            policies=POLICIES,
        )
        body = ModelApproved(model=MODEL, version=version, approved_by="anna")
        return self.publish(body, id="by-hand")

    def publish(self, body: EventBody, **envelope: Any) -> Event:
        """Publish from outside, under an id that is the same in each run."""
        event = Event(body=body, source="/test", time=self.clock.now(), **envelope)
        self.bus.append(encode(event))
        return event

    def rollout(self) -> list[RolloutStep]:
        """Every step so far."""
        return [event.body for event in self.bus.events(RolloutStep)]

    def events(self, body: type[EventBody]) -> list[Event]:
        return self.bus.events(body)

    def causes(self, event: Event) -> list[Event]:
        """The event, its cause, the cause of that, and so on to the first."""
        known = {e.id: e for kind in BY_TYPE.values() for e in _readable(self.bus, kind)}
        chain = [event]
        while chain[-1].causation_id:
            chain.append(known[chain[-1].causation_id])
        return chain

    def dead_letters(self, service: str) -> list[Message]:
        return self.bus.messages(f"{service}.dead")

    def _trip(self, day: int, number: int) -> dict[str, Any]:
        x = number % 2
        against = number % NOISE in (6, 7) and number % (2 * NOISE) < NOISE
        return {
            "id": f"{day}-{number}",
            "time": (START + day * DAY + timedelta(hours=2, minutes=8 * number)).isoformat(),
            "x": x,
            "late": x ^ against ^ self.changed,
        }

    async def _talk(
        self, trips: Iterable[dict[str, Any]], outcomes: Iterable[dict[str, Any]]
    ) -> list[dict[str, Any]]:
        async with (
            _client(predictor.app.shortcut(self.predictor)) as asking,
            _client(self.ingest) as telling,
        ):
            answers = await asyncio.gather(*(_ask(asking, trip) for trip in trips))
            for path, items in (
                (f"/v1/datasets/{DATASET}/records", [_record(trip) for trip in outcomes]),
                ("/v1/labels", [_label(trip) for trip in outcomes if answers]),
            ):
                if items:
                    kind = path.rpartition("/")[2]
                    answer = await telling.post(path, json={kind: items})
                    assert answer.status_code == 202, answer.text
        return answers


def _client(app: ASGIApp) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


async def _ask(client: httpx.AsyncClient, trip: dict[str, Any]) -> dict[str, Any]:
    answer = await client.post(
        "/predict",
        json={
            "model": MODEL,
            "entity_id": trip["id"],
            "prediction_id": trip["id"],
            "features": {"x": trip["x"]},
            "event_time": trip["time"],
        },
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


def _record(trip: dict[str, Any]) -> dict[str, Any]:
    columns = {"x": trip["x"], "late": trip["late"]}
    return {"entity": trip["id"], "event_time": trip["time"], "record": columns}


def _label(trip: dict[str, Any]) -> dict[str, Any]:
    truth = {"prediction_id": trip["id"], "model": MODEL, "label": trip["late"]}
    return truth | {"observed_at": trip["time"]}


def _readable(bus: MemoryBus, kind: type[EventBody]) -> list[Event]:
    events = []
    for message in bus.messages(kind.topic()):
        try:
            events.append(decode(message))
        except Exception:
            continue
    return events


@pytest.fixture(scope="session")
def new_loop(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Loop]:
    """Makes a loop in which nothing has happened."""
    return lambda: Loop(tmp_path_factory.mktemp("loop"))


@pytest.fixture
def loop(new_loop: Callable[[], Loop]) -> Loop:
    """A loop in which nothing has happened."""
    return new_loop()
