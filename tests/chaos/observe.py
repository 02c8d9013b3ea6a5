"""Reads what the platform holds: topics on a thread of its own, lake and registry when asked."""

import json
import threading
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from confluent_kafka import Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from tests.chaos.evidence import ArmKey, Decision, Found, Label, Logged, Measured, Route, Step

import event_schemas as events
from event_schemas.catalog import ROUTES
from servicekit.bus import Message
from servicekit.cloudevents import decode
from servicekit.errors import ServicekitError
from servicekit.kafka.client import read
from tailrace.dead_letters import DeadLetter

STATE = "deployer.state"
DAY_SECONDS = 86_400


def slice_start(moment: datetime) -> datetime:
    """The day of a prediction, in which the monitor counts it."""
    return datetime.fromtimestamp(moment.timestamp() // DAY_SECONDS * DAY_SECONDS, UTC)


class TopicReader:
    """Follows all topics from where they end now, and sorts out what concerns one model."""

    def __init__(self, bootstrap: str, model: str, dataset: str) -> None:
        self._model = model
        self._key = model.encode()
        self._bootstrap = bootstrap
        self._lock = threading.Lock()
        self._places: set[tuple[str, int, int]] = set()
        self._events: dict[str, list[Any]] = {topic: [] for topic in ROUTES}
        self._dead: list[tuple[str, bytes, str]] = []
        self._kept: Route | None = None
        self._ends: set[tuple[str, int]] = set()
        """Partitions that were read to their end."""
        self._heard = time.monotonic()
        self._stop = threading.Event()
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap,
                "group.id": "chaos",
                "isolation.level": "read_committed",
                "auto.offset.reset": "earliest",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "reconnect.backoff.max.ms": 1000,
                "log_level": 0,
            }
        )
        self._partitions = self._at_their_ends()
        self._thread = threading.Thread(target=self._run, name="reader", daemon=True)

    def __enter__(self) -> "TopicReader":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=10)
        self._consumer.close()

    @property
    def quiet_seconds(self) -> float:
        """How long nothing has come; 0 while a partition was not read to its end."""
        with self._lock:
            if len(self._ends) < len(self._partitions):
                return 0.0
            return time.monotonic() - self._heard

    @property
    def last_step(self) -> Any:
        """The newest `rollout.step`, or None."""
        with self._lock:
            steps = self._events[events.RolloutStep.type]
            return steps[-1].body if steps else None

    @property
    def training(self) -> bool:
        """Whether an accepted request has no outcome yet, or one waits for its decision."""
        found = self.found()
        open_ = [
            d
            for d in found.decisions
            if d.decision == "accepted" and not found.outcomes.get(d.event_id)
        ]
        last = {d.request_id: d.decision for d in found.decisions}
        waiting = [r for r in found.requests if last.get(r, "deferred") == "deferred"]
        approved = [v for v in found.trained if not found.judged.get(v)]
        return bool(open_ or waiting or approved)

    @property
    def unrolled(self) -> bool:
        """Whether an approved version has not been in a step yet."""
        with self._lock:
            approved = {e.body.version.version for e in self._events[events.ModelApproved.type]}
            named: set[str] = set()
            for event in self._events[events.RolloutStep.type]:
                step = event.body
                named |= {step.champion.version}
                named |= {step.challenger.version} if step.challenger else set()
        return bool(approved - named)

    def found(self) -> Found:
        """What the topics hold so far; lake, routes and registry are for others to add."""
        with self._lock:
            of = {kind: list(events) for kind, events in self._events.items()}
            dead, kept = list(self._dead), self._kept
        labels: dict[str, set[Label]] = {}
        for event in of[events.LabelArrived.type]:
            body = event.body
            labels.setdefault(body.prediction_id, set()).add(
                Label(int(body.label), body.observed_at)
            )
        outcomes: dict[str, list[str]] = {}
        trained: dict[str, set[str]] = {}
        judged: dict[str, set[str]] = {}
        for event in (*of[events.ModelTrained.type], *of[events.TrainingFailed.type]):
            outcomes.setdefault(event.causation_id or "", []).append(event.id)
        for event in of[events.ModelTrained.type]:
            trained.setdefault(event.body.version.version, set()).add(event.id)
        for event in (*of[events.ModelApproved.type], *of[events.ModelRejected.type]):
            judged.setdefault(event.body.version.version, set()).add(event.id)
        return Found(
            logged=[_logged(event) for event in of[events.PredictionLogged.type]],
            labels=labels,
            measured=_measured(of[events.ArmMeasured.type]),
            steps=[_step(event) for event in of[events.RolloutStep.type]],
            kept=kept,
            decisions=[
                Decision(e.id, e.body.request_id, e.body.decision)
                for e in of[events.RetrainDecided.type]
            ],
            requests=frozenset(e.id for e in of[events.RetrainRequested.type]),
            outcomes=outcomes,
            judged=judged,
            trained=trained,
            dead=dead,
        )

    def _at_their_ends(self) -> list[TopicPartition]:
        listed = AdminClient({"bootstrap.servers": self._bootstrap, "log_level": 0}).list_topics(
            timeout=30
        )
        partitions = [
            TopicPartition(name, number)
            for name, topic in listed.topics.items()
            if name in ROUTES or name == STATE or name.endswith(".dead")
            for number in topic.partitions
        ]
        for partition in partitions:
            _, partition.offset = self._consumer.get_watermark_offsets(partition, timeout=30)
        return partitions

    def _run(self) -> None:
        self._consumer.assign(self._partitions)
        while not self._stop.is_set():
            try:
                batch = self._consumer.consume(500, 0.1)
            except KafkaException:
                continue
            with self._lock:
                for item in batch:
                    error = item.error()
                    place = (item.topic() or "", item.partition() or 0)
                    if error is None:
                        self._ends.discard(place)
                        self._heard = time.monotonic()
                        self._take(read(item))
                    elif error.code() == KafkaError._PARTITION_EOF:
                        self._ends.add(place)

    def _take(self, message: Message) -> None:
        place = (message.topic, message.partition, message.offset)
        if place in self._places:
            return
        self._places.add(place)
        if message.topic.endswith(".dead"):
            service = message.topic.removesuffix(".dead")
            letter = DeadLetter(message)
            text = f"{letter.origin}: {letter.reason}"
            self._dead.append((service, message.value or b"", text))
        elif message.topic == STATE:
            if message.key == b"rollout/" + self._key and message.value:
                kept = json.loads(message.value)
                self._kept = Route(
                    kept["sequence"],
                    kept["phase"],
                    kept["champion"],
                    kept["challenger"],
                    kept["weight"],
                )
        else:
            try:
                event = decode(message)
            except ServicekitError:
                return
            if getattr(event.body, "model", None) == self._model:
                self._events[message.topic].append(event)


def _logged(event: Any) -> Logged:
    body: events.PredictionLogged = event.body
    key = ArmKey(body.version, body.arm, body.rollout_id, body.weight, slice_start(body.event_time))
    return Logged(event.id, body.prediction_id, key, None if body.error else body.score)


def _measured(events: Sequence[Any]) -> dict[ArmKey, Measured]:
    newest: dict[ArmKey, Measured] = {}
    for event in events:
        body: events.ArmMeasured = event.body
        key = ArmKey(body.version, body.arm, body.rollout_id, body.weight, body.window.start)
        if key not in newest or body.revision > newest[key].revision:
            newest[key] = Measured(
                body.revision,
                body.n,
                body.errors,
                body.loss.n,
                body.loss.positives,
                body.loss.total,
            )
    return newest


def _step(event: Any) -> Step:
    body: events.RolloutStep = event.body
    return Step(
        event.id,
        body.rollout_id,
        body.sequence,
        body.phase,
        body.champion.version,
        body.challenger.version if body.challenger else None,
        body.weight,
        body.outcome,
        body.reason,
    )


def lake_rows(lake: Path, dataset: str, id_column: str, prefix: str = "") -> Counter[str]:
    """How often each record is in a table of the lake."""
    from deltalake import DeltaTable

    if not (lake / dataset / "_delta_log").exists():
        return Counter()
    table = DeltaTable(str(lake / dataset)).to_pyarrow_table(columns=[id_column])
    names = table.column(id_column).to_pylist()
    return Counter(name for name in names if name.startswith(prefix))


def runs(tracking_uri: str, model: str) -> Counter[str]:
    """Concluded runs of the registry that were not superseded, by request."""
    api = f"{tracking_uri}/api/2.0/mlflow"
    experiment = _ask(f"{api}/experiments/get-by-name?experiment_name={model}")
    if experiment is None:
        return Counter()
    body = {
        "experiment_ids": [experiment["experiment"]["experiment_id"]],
        "max_results": 1000,
    }
    found: Counter[str] = Counter()
    for run in (_ask(f"{api}/runs/search", body) or {}).get("runs", []):
        tags = {tag["key"]: tag["value"] for tag in run["data"]["tags"]}
        if tags.get("concluded") == "true" and "superseded" not in tags:
            found[tags["request_id"]] += 1
    return found


def route(predictor: str, model: str) -> Route | None:
    """What a predictor answers with; None when it does not, or does not know the model."""
    try:
        pages = _ask(f"{predictor}/v1/models")
    except (URLError, OSError):
        return None
    for each in (pages or {}).get("models", []):
        if each["model"] == model:
            trial = each["challenger"]
            return Route(
                each["sequence"],
                each["phase"],
                each["champion"]["version"],
                trial and trial["version"],
                each["weight"],
            )
    return None


def _ask(url: str, body: object | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = Request(url, data=data, headers={"content-type": "application/json"})
    try:
        with urlopen(request, timeout=15) as answer:
            return json.load(answer)
    except HTTPError as error:
        if error.code == 404:
            return None
        raise
