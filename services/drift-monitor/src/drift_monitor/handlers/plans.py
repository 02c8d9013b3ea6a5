"""Which policy holds for which version."""

from drift_monitor.domain.plan import HOUR, Plan, floor
from drift_monitor.handlers.events import plan_of
from drift_monitor.handlers.tables import State, key_of
from event_schemas.model import ModelVersion

_DEFAULT = Plan()


class Plans:
    """The plans of the known versions, translated once each."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._known: dict[str, tuple[ModelVersion, Plan]] = {}

    def of_version(self, model: str, version: str) -> Plan:
        """The plan of a version; while nobody has named it, that of the version that serves."""
        key = key_of(model, version)
        facts = self._state.versions.get(key)
        if facts is None:
            serving = self._state.serving.get(model)
            if serving is None or serving.version == version:
                return _DEFAULT
            return self.of_version(model, serving.version)
        known = self._known.get(key)
        if known is None or known[0] is not facts:
            known = self._known[key] = (facts, plan_of(facts.policies.drift))
        return known[1]

    def of_model(self, model: str) -> Plan:
        """The plan of the version that serves; the default while none is."""
        serving = self._state.serving.get(model)
        return self.of_version(model, serving.version) if serving else _DEFAULT

    def horizon(self, model: str, watermark: int | None) -> int:
        """Predictions before this hour have been let go, so a repeat could not be told."""
        if watermark is None:
            return -(1 << 62)
        return floor(watermark - self.of_model(model).label_ttl, HOUR)
