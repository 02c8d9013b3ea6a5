"""Who serves, read from the compacted topic of rollout steps."""

import threading
import time

from event_schemas import RolloutStep
from event_schemas.model import ModelVersion
from servicekit.bus import Bus
from servicekit.cloudevents import decode
from servicekit.errors import PoisonMessageError, UnavailableError


class RolloutChampions:
    """Reads the topic to its end each time it is asked: once a training, and the topic is small."""

    def __init__(self, bus: Bus, *, timeout_seconds: float = 30.0) -> None:
        self._bus = bus
        self._timeout_seconds = timeout_seconds
        self._lock = threading.Lock()

    def current(self, model: str) -> ModelVersion | None:
        """The version that serves a model now, or None before the first rollout.

        Raises:
            UnavailableError: the topic could not be read to its end in time.
        """
        with self._lock:
            newest: RolloutStep | None = None
            view = self._bus.view(RolloutStep.topic())
            deadline = time.monotonic() + self._timeout_seconds
            try:
                while True:
                    messages = view.poll(0.2)
                    for message in messages:
                        try:
                            step = decode(message).body
                        except PoisonMessageError:
                            continue
                        if not isinstance(step, RolloutStep) or step.model != model:
                            continue
                        if newest is None or step.sequence >= newest.sequence:
                            newest = step
                    if view.caught_up and not messages:
                        return newest.champion if newest else None
                    if time.monotonic() > deadline:
                        raise UnavailableError(
                            f"rollout.step was not read to its end in {self._timeout_seconds:.0f} s"
                        )
            finally:
                view.close()
