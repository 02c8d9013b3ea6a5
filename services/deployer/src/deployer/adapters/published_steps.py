"""What the deployer has published, read from the topics: what a lost state is rebuilt from."""

from collections.abc import Mapping

from deployer.handlers import Published
from event_schemas import ModelApproved, RolloutStep
from event_schemas.model import ModelVersion
from servicekit.bus import Bus
from servicekit.event import Event
from servicekit.read_to_end import read_events


class PublishedSteps:
    """The newest step of each model, and the versions that were approved for it."""

    def __init__(self, bus: Bus, *, timeout_seconds: float = 60.0) -> None:
        self._bus = bus
        self._timeout_seconds = timeout_seconds

    def read(self) -> Published:
        """Read both topics to their ends; no step, no second topic.

        Raises:
            UnavailableError: a topic could not be read to its end in time.
        """
        steps: dict[str, Event[RolloutStep]] = {}
        for event in self._events(RolloutStep):
            known = steps.get(event.body.model)
            if known is None or event.body.sequence >= known.body.sequence:
                steps[event.body.model] = event
        return Published(list(steps.values()), self._approved() if steps else {})

    def _approved(self) -> Mapping[str, ModelVersion]:
        found = (event.body.version for event in self._events(ModelApproved))
        return {f"{version.model}/{version.version}": version for version in found}

    def _events(self, body: type) -> list[Event]:
        read = read_events("deployer", self._bus, body.topic(), seconds=self._timeout_seconds)
        return [event for _, event in read if event and isinstance(event.body, body)]
