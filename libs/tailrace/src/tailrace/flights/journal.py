"""What the demo has read from the topics: every prediction, and each turn of the loop."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
import numpy as np

import event_schemas as events
from servicekit.bus import Message
from servicekit.cloudevents import decode
from servicekit.event import Event
from tailrace.dead_letters import DeadLetter
from tailrace.traffic.observer import keep_newest

CHUNK = 2000
Scorer = Callable[[list[dict[str, Any]]], np.ndarray]
"""The probability of the positive class for rows of features; the static model of the demo."""


class _Logged(msgspec.Struct):
    """The parts of `prediction.logged` that the report needs."""

    prediction_id: str
    version: str
    arm: str
    features: dict[str, float | str | None]
    score: float | None
    event_time: datetime


@dataclass
class Predictions:
    """Every prediction of the run, column by column."""

    index: dict[str, int] = field(default_factory=dict)
    """Row of each prediction id."""
    read: int = 0
    """Events of the run that were read, repeated ones included."""
    failed: int = 0
    """Predictions that were logged without a score."""
    seconds: list[float] = field(default_factory=list)
    """Event time, in seconds since 1970."""
    score: list[float] = field(default_factory=list)
    static: list[float] = field(default_factory=list)
    """What the never-retrained first version says of the same features."""
    version: list[str] = field(default_factory=list)
    arm: list[str] = field(default_factory=list)
    truth: dict[str, int] = field(default_factory=dict)
    """Labels that were handed over, by prediction id."""

    @property
    def distinct(self) -> int:
        """Distinct prediction ids."""
        return len(self.index)


class Journal:
    """Takes messages one by one; other threads may read it meanwhile."""

    def __init__(self, run: str, model: str) -> None:
        self._prefix = f"{run}.".encode()
        self._model = model
        self._decode = msgspec.json.Decoder(_Logged)
        self._pending: list[dict[str, Any]] = []
        self._scorer: Scorer | None = None
        self.predictions = Predictions()
        self.turns: list[Event[Any]] = []
        self.arms: dict[tuple[Any, ...], events.ArmMeasured] = {}
        """Newest revision of each measurement, by version, arm, rollout, weight and window."""
        self.measured_until: datetime | None = None
        self.lake_rows: Counter[str] = Counter()
        self.quarantined: Counter[str] = Counter()
        self.dead: list[str] = []
        """What lies in the dead letters, as text."""
        self._seen: set[str] = set()

    def use(self, scorer: Scorer) -> None:
        """From now on score every prediction with the static model too."""
        self._scorer = scorer

    def take(self, message: Message) -> None:
        """Read one message."""
        if message.topic == events.PredictionLogged.topic():
            self._take_prediction(message)
        elif message.topic.endswith(".dead"):
            self.dead.append(f"{message.topic}: {DeadLetter(message).reason}")
        else:
            self._take_turn(decode(message))

    def latest_steps(self) -> list[events.RolloutStep]:
        """The rollout steps of the model, in order."""
        return [
            e.body
            for e in self.turns
            if isinstance(e.body, events.RolloutStep) and e.body.model == self._model
        ]

    def score_pending(self) -> None:
        """Let the static model score what it has not yet."""
        if self._scorer and self._pending:
            rows, self._pending = self._pending, []
            self.predictions.static.extend(self._scorer(rows).tolist())

    @property
    def labels_joined(self) -> Counter[str]:
        """Labels that the drift-monitor joined, by the day (YYYY-MM-DD) of the prediction."""
        joined: Counter[str] = Counter()
        for measured in list(self.arms.values()):
            if measured.arm != "shadow":
                joined[f"{measured.window.start:%Y-%m-%d}"] += measured.loss.n
        return joined

    def _take_prediction(self, message: Message) -> None:
        if not (message.key or b"").startswith(self._prefix):
            return
        p = self.predictions
        p.read += 1
        logged = self._decode.decode(message.value or b"")
        if logged.arm == "shadow" or logged.prediction_id in p.index:
            return
        p.index[logged.prediction_id] = len(p.seconds)
        p.seconds.append(logged.event_time.timestamp())
        p.failed += logged.score is None
        p.score.append(np.nan if logged.score is None else logged.score)
        p.version.append(logged.version)
        p.arm.append(logged.arm)
        self._pending.append(logged.features)
        if len(self._pending) >= CHUNK:
            self.score_pending()

    def _take_turn(self, event: Event[Any]) -> None:
        if event.id in self._seen:
            return
        self._seen.add(event.id)
        body = event.body
        if isinstance(body, events.ArmMeasured):
            self._take_arm(body)
        elif isinstance(body, events.DataArrived):
            self.lake_rows[body.dataset] += body.rows
        else:
            if isinstance(body, events.DataQuarantined):
                self.quarantined[body.dataset] += body.rows
            self.turns.append(event)

    def _take_arm(self, body: events.ArmMeasured) -> None:
        keep_newest(self.arms, body)
        if self.measured_until is None or body.window.end > self.measured_until:
            self.measured_until = body.window.end
