"""What happens right now: rates, mean scores, and how far the scores have moved."""

from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from statistics import fmean

from drift_monitor.domain.histograms import SCORE_BINS, jensen_shannon, score_bin
from drift_monitor.domain.plan import in_force

SMOOTHED = 5
"""Samples that a rate is averaged over."""
FORGOTTEN_SECONDS = 600.0
"""An arm without a prediction for this long is forgotten."""
MIN_COMPARED = 50
"""Scores on each side below which no distance is reported."""


@dataclass(frozen=True, slots=True)
class ArmSample:
    """One arm, as it is now."""

    model: str
    version: str
    arm: str
    rate: float
    """Predictions a second of wall time."""
    mean_score: float | None
    """Mean of the newest scores; None when there are none."""


@dataclass(frozen=True, slots=True)
class DriftSample:
    """How far the newest scores of the serving version are from its first."""

    model: str
    version: str
    score: float


@dataclass(frozen=True, slots=True)
class Sample:
    """What is reported once a second."""

    arms: tuple[ArmSample, ...] = ()
    drift: tuple[DriftSample, ...] = ()
    forgotten: tuple[tuple[str, str, str], ...] = ()
    """Arms that are reported no more."""


@dataclass
class _Arm:
    scores: deque[float]
    count: float = 0.0
    ticks: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=SMOOTHED))
    seen: float = 0.0


@dataclass
class _Version:
    recent: deque[int]
    """Bins of the newest scores."""
    first: list[int] = field(default_factory=lambda: [0] * SCORE_BINS)
    """How many of the first scores are in each bin."""


class Live:
    """Counts in memory; times are seconds of any clock that does not go back."""

    def __init__(self, *, scores: int, baseline: int, started: float = 0.0) -> None:
        self._baseline = baseline
        self._arms = defaultdict[tuple[str, str, str], _Arm](lambda: _Arm(deque(maxlen=scores)))
        self._versions = defaultdict[tuple[str, str], _Version](
            lambda: _Version(deque(maxlen=scores))
        )
        self._serving: dict[str, str] = {}
        self._sampled_at = started

    def add(
        self,
        model: str,
        version: str,
        arm: str,
        *,
        weight: float,
        score: float | None,
        bounded: bool = True,
        stands_for: float = 1.0,
    ) -> None:
        """Count a prediction, which stands for several while only a sample of them is read.

        One that is not `bounded` to [0, 1] counts in the mean alone.
        """
        known = self._arms[model, version, arm]
        known.count += stands_for
        if score is None:
            return
        known.scores.append(score)
        if arm != "shadow" and bounded:
            self._add_score(model, version, score)
        if in_force(arm, weight):
            self._serving[model] = version

    def sample(self, now: float) -> Sample:
        """Return what happened since the last sample."""
        seconds = max(now - self._sampled_at, 1e-3)
        self._sampled_at = now
        arms: list[ArmSample] = []
        forgotten: list[tuple[str, str, str]] = []
        for key, arm in list(self._arms.items()):
            if arm.count or not arm.ticks:
                arm.seen = now
            if now - arm.seen > FORGOTTEN_SECONDS:
                del self._arms[key]
                forgotten.append(key)
                continue
            arm.ticks.append((arm.count, seconds))
            arm.count = 0.0
            rate = sum(n for n, _ in arm.ticks) / sum(s for _, s in arm.ticks)
            mean = fmean(arm.scores) if arm.scores else None
            arms.append(ArmSample(*key, rate, mean))
        alive = {key[:2] for key in self._arms}
        for key in [key for key in self._versions if key not in alive]:
            del self._versions[key]
        return Sample(tuple(arms), tuple(self._drift()), tuple(forgotten))

    def _add_score(self, model: str, version: str, score: float) -> None:
        known = self._versions[model, version]
        if sum(known.first) < self._baseline:
            known.first[score_bin(score)] += 1
        else:
            known.recent.append(score_bin(score))

    def _drift(self) -> list[DriftSample]:
        out: list[DriftSample] = []
        for model, version in self._serving.items():
            known = self._versions.get((model, version))
            if known is not None and len(known.recent) >= MIN_COMPARED:
                counts = Counter(known.recent)
                now = [counts[index] for index in range(SCORE_BINS)]
                out.append(DriftSample(model, version, jensen_shannon(known.first, now)))
        return out
