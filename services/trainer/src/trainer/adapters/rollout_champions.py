"""Who serves, read from the compacted topic of rollout steps."""

from event_schemas import RolloutStep
from event_schemas.model import ModelVersion
from servicekit.bus import Bus
from servicekit.read_to_end import read_events


class RolloutChampions:
    """Reads the topic to its end each time it is asked: once a training, and the topic is small."""

    def __init__(self, bus: Bus, *, timeout_seconds: float = 30.0) -> None:
        self._bus = bus
        self._timeout_seconds = timeout_seconds

    def current(self, model: str) -> ModelVersion | None:
        """The version that serves a model now, or None before the first rollout.

        Raises:
            UnavailableError: the topic could not be read to its end in time.
        """
        steps = [
            event.body
            for _, event in read_events(
                "trainer", self._bus, RolloutStep.topic(), seconds=self._timeout_seconds
            )
            if event and isinstance(event.body, RolloutStep) and event.body.model == model
        ]
        return max(steps, key=lambda step: step.sequence).champion if steps else None
