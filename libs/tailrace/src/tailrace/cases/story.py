"""What came of the replayed cases, as the topics tell it."""

from collections import Counter, defaultdict
from datetime import datetime
from typing import Any

import event_schemas as events
from servicekit.bus import Message
from servicekit.cloudevents import decode
from servicekit.event import Event
from tailrace.dead_letters import DeadLetter
from tailrace.traffic.observer import keep_newest

VERDICTS = (events.ModelApproved, events.ModelRejected, events.TrainingFailed)


class Story:
    """Takes messages one by one; other threads may look meanwhile."""

    def __init__(self, run: str) -> None:
        self._prefix = f"{run}."
        self._seen: set[str] = set()
        self._arms: dict[str, dict[tuple[Any, ...], events.ArmMeasured]] = defaultdict(dict)
        self.turns: list[Event[Any]] = []
        """What tells the story, in the order in which it was read."""
        self.answered: dict[str, set[str]] = defaultdict(set)
        """Ids of the logged predictions that were answered, by model."""
        self.rows: Counter[str] = Counter()
        """Rows in the lake or in quarantine, by dataset."""
        self.dead: list[str] = []

    def steps(self, model: str) -> list[events.RolloutStep]:
        """The steps of a model's rollouts."""
        found = (e.body for e in list(self.turns))
        return [b for b in found if isinstance(b, events.RolloutStep) and b.model == model]

    def replaced(self, model: str) -> bool:
        """Whether another version than the first serves."""
        steps = self.steps(model)
        return bool(steps) and steps[-1].champion.version != steps[0].champion.version

    def in_training(self, model: str) -> bool:
        """Whether an accepted retraining has no verdict yet."""
        bodies = [e.body for e in list(self.turns) if e.body.model == model]
        accepted = sum(
            isinstance(b, events.RetrainDecided) and b.decision == "accepted" for b in bodies
        )
        return accepted > sum(isinstance(b, VERDICTS) for b in bodies)

    def arms(self, model: str) -> list[events.ArmMeasured]:
        """The newest measurement of each arm and slice."""
        return sorted(self._arms[model].values(), key=lambda arm: arm.window.start)

    def measured_until(self, model: str) -> datetime | None:
        """End of the newest slice that was measured."""
        return max((arm.window.end for arm in list(self._arms[model].values())), default=None)

    def labels_joined(self, model: str) -> int:
        """Labels that were joined with predictions that were answered to callers."""
        found = list(self._arms[model].values())
        return sum(arm.loss.n for arm in found if arm.arm != "shadow")

    def take(self, message: Message) -> None:
        """Take one message."""
        if message.topic.endswith(".dead"):
            self.dead.append(f"{message.topic}: {DeadLetter(message).reason}")
            return
        event = decode(message)
        if event.id in self._seen:
            return
        self._seen.add(event.id)
        match event.body:
            case events.PredictionLogged() as logged:
                if logged.error is None and logged.prediction_id.startswith(self._prefix):
                    self.answered[logged.model].add(logged.prediction_id)
            case events.DataArrived() | events.DataQuarantined() as data:
                self.rows[data.dataset] += data.rows
            case events.ArmMeasured() as arm:
                keep_newest(self._arms[arm.model], arm)
            case events.DriftSuspected():
                """The guess of one look, of which there are many."""
            case _:
                self.turns.append(event)
