"""Reads along what a platform says while it is used."""

import logging
import threading
from typing import Any, Protocol

import event_schemas as events
from event_schemas.catalog import SERVICES
from servicekit.bus import Bus, Message
from tailrace.bus import read
from tailrace.traffic.waiting import RunError

log = logging.getLogger(__name__)

TURNS: tuple[type[events.EventBody], ...] = (
    events.RetrainRequested,
    events.RetrainDecided,
    events.ModelTrained,
    events.ModelApproved,
    events.ModelRejected,
    events.TrainingFailed,
    events.RolloutStep,
    events.DriftSuspected,
    events.DriftDetected,
    events.DriftCleared,
    events.DataQuarantined,
)
"""Events that tell the story; there are few of them, so all are kept."""
TOPICS = (
    *(body.topic() for body in TURNS),
    events.ArmMeasured.topic(),
    events.DataArrived.topic(),
    events.PredictionLogged.topic(),
    *(f"{service}.dead" for service in SERVICES),
)


class Journal(Protocol):
    """Keeps what is read."""

    def take(self, message: Message) -> None:
        """Take one message; other threads may look meanwhile."""
        ...


class Observer:
    """Reads the topics into a journal on a thread of its own, until it is stopped."""

    def __init__(self, bus: Bus, journal: Journal) -> None:
        self._bus = bus
        self._journal = journal
        self._stop = threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._run, name="observer", daemon=True)

    def __enter__(self) -> "Observer":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=10)

    def check(self) -> None:
        """Raise RunError when the topics could not be read."""
        if self._failure:
            raise RunError(f"reading the topics failed: {self._failure}")

    def _run(self) -> None:
        try:
            for message in read(self._bus, *TOPICS, until=self._stop.is_set):
                self._journal.take(message)
        except Exception as error:
            log.exception("the observer failed")
            self._failure = error


def keep_newest(arms: dict[tuple[Any, ...], events.ArmMeasured], arm: events.ArmMeasured) -> None:
    """Keep a measurement, unless a later revision of its arm, step and window is there."""
    key = (arm.version, arm.arm, arm.rollout_id, arm.weight, arm.window.start)
    known = arms.get(key)
    if known is None or arm.revision > known.revision:
        arms[key] = arm
