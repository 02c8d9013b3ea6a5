"""Suspects a change of the scores, at most once in a while."""

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

MAX_VERSIONS = 100
"""Versions that are watched; the one longest without a prediction makes room."""
TIMES_KEPT = 5000
"""Event times remembered of a version, to tell since when its scores are others."""


class Detector(Protocol):
    """Watches one stream of numbers; river's detectors do."""

    @property
    def drift_detected(self) -> bool:
        """Whether the last number made a change certain enough."""
        ...

    @property
    def width(self) -> float:
        """How many of the newest numbers are of one kind."""
        ...

    @property
    def estimation(self) -> float:
        """Their mean."""
        ...

    def update(self, x: float) -> object:
        """Take one more number."""
        ...


@dataclass(frozen=True, slots=True)
class Suspicion:
    """The scores of a version changed."""

    model: str
    version: str
    value: float
    """Mean of the scores since the change."""
    since: datetime


@dataclass
class _Watched:
    detector: Detector
    times: deque[datetime] = field(default_factory=lambda: deque(maxlen=TIMES_KEPT))
    quiet_until: datetime | None = None


class Suspicions:
    """One detector a version; event time alone decides how often one is reported."""

    def __init__(self, detector: Callable[[], Detector], cooldown: timedelta) -> None:
        self._detector = detector
        self._cooldown = cooldown
        self._watched: OrderedDict[tuple[str, str], _Watched] = OrderedDict()

    def add(self, model: str, version: str, score: float, time: datetime) -> Suspicion | None:
        """Add a score of a version; return a suspicion when its scores changed."""
        watched = self._watched.get((model, version))
        if watched is None:
            watched = self._watched[model, version] = _Watched(self._detector())
            if len(self._watched) > MAX_VERSIONS:
                self._watched.popitem(last=False)
        self._watched.move_to_end((model, version))
        watched.times.append(time)
        watched.detector.update(score)
        if not watched.detector.drift_detected:
            return None
        if watched.quiet_until is not None and time < watched.quiet_until:
            return None
        watched.quiet_until = time + self._cooldown
        width = min(max(int(watched.detector.width), 1), len(watched.times))
        since = min(watched.times[-width], time)
        return Suspicion(model, version, watched.detector.estimation, since)
