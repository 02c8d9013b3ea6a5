"""What came of the decisions, read from the topics of verdicts."""

from event_schemas import ModelApproved, ModelRejected, TrainingFailed
from servicekit.bus import Bus
from servicekit.read_to_end import read_events


class TopicVerdicts:
    """Reads the topics to their ends for a decision that it does not know: once a training."""

    def __init__(self, bus: Bus, *, timeout_seconds: float = 30.0) -> None:
        self._bus = bus
        self._timeout_seconds = timeout_seconds
        self._told: set[str] = set()
        """Ids of decisions of which a verdict was read."""

    def told(self, decision_id: str) -> bool:
        """See `Verdicts.told`.

        Raises:
            UnavailableError: a topic could not be read to its end in time.
        """
        if decision_id not in self._told:
            self._told.update(
                event.causation_id
                for body in (ModelApproved, ModelRejected, TrainingFailed)
                for _, event in read_events(
                    "trainer", self._bus, body.topic(), seconds=self._timeout_seconds
                )
                if event and isinstance(event.body, body) and event.causation_id
            )
        return decision_id in self._told
