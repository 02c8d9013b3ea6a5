"""A slice: one arm over a short window of event time, as counts that only add up."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from drift_monitor.domain.histograms import (
    NO_LATENCIES,
    NO_SCORES,
    Counts,
    add,
    latency_bin,
    score_bin,
)
from drift_monitor.domain.loss import NO_LOSS, LossSums
from drift_monitor.domain.sequences import Sequences


@dataclass(frozen=True, slots=True)
class Slice:
    """One model, version, arm and rollout, from `start` to `end`."""

    model: str
    version: str
    arm: str
    rollout_id: str
    start: int
    end: int
    due: int
    """Watermark at which it is measured for the first time."""
    weight: float = 0.0
    weight_time: int = -1
    """Event time of the prediction that `weight` is from: the newest."""
    n: int = 0
    errors: int = 0
    latencies: Counts = NO_LATENCIES
    scores: Counts = NO_SCORES
    loss: LossSums = NO_LOSS
    replicas: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Lowest and highest sequence number of each replica that answered here."""
    revision: int = -1
    """Of the last measurement; -1: never measured."""
    changed: bool = True
    """Whether anything came since the last measurement."""

    @property
    def answered(self) -> int:
        """Predictions that did not fail."""
        return self.n - self.errors

    @property
    def label_maturity(self) -> float:
        """Share of the answered predictions whose label has come."""
        return self.loss.n / self.answered if self.answered else 0.0

    def predicted(
        self,
        *,
        time: int,
        weight: float,
        score: float | None,
        latency_ms: float,
        replica: str,
        sequence: int,
    ) -> "Slice":
        """With one more prediction; without a score it has failed."""
        newer = (time, weight) > (self.weight_time, self.weight)
        low, high = self.replicas.get(replica, (sequence, sequence))
        return Slice(
            self.model,
            self.version,
            self.arm,
            self.rollout_id,
            self.start,
            self.end,
            self.due,
            weight if newer else self.weight,
            time if newer else self.weight_time,
            self.n + 1,
            self.errors + (score is None),
            add(self.latencies, latency_bin(latency_ms)),
            self.scores if score is None else add(self.scores, score_bin(score)),
            self.loss,
            {**self.replicas, replica: (min(low, sequence), max(high, sequence))},
            self.revision,
            True,
        )

    def with_loss(self, loss: LossSums) -> "Slice":
        """With other sums of the realised loss."""
        return replace(self, loss=loss, changed=True)

    def measured(self) -> "Slice":
        """After it was measured once more."""
        return replace(self, revision=self.revision + 1, changed=False)

    def coverage(self, sequences: Mapping[str, Sequences | None]) -> float:
        """Received over sent, over the ranges of sequence numbers that this slice spans."""
        sent = missing = 0
        for replica, (low, high) in self.replicas.items():
            known = sequences.get(replica)
            sent += high - low + 1
            missing += known.missing(low, high) if known else 0
        return 1.0 - missing / sent if sent else 1.0
