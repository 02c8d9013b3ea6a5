"""A slice: one arm over a short window of event time, as counts that only add up."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from drift_monitor.domain.histograms import (
    NO_LATENCIES,
    NO_SCORES,
    Counts,
    add,
    latency_bin,
)
from drift_monitor.domain.loss import NO_LOSS, LossSums
from drift_monitor.domain.sequences import Sequences


@dataclass(frozen=True, slots=True)
class Slice:
    """One model, version, arm, rollout and weight, from `start` to `end`.

    Weights are kept apart because the deployer judges each step of a rollout by itself.
    """

    model: str
    version: str
    arm: str
    rollout_id: str
    weight: float
    """Of the challenger, when these predictions were made."""
    start: int
    end: int
    due: int
    """Watermark at which it is measured for the first time."""
    n: int = 0
    errors: int = 0
    latencies: Counts = NO_LATENCIES
    scores: Counts = NO_SCORES
    """Answers in each bin."""
    loss: LossSums = NO_LOSS
    replicas: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    """Lowest and highest sequence number of each replica that answered here."""
    revision: int = -1
    """Of the last measurement; -1: never measured."""
    changed: bool = True
    """Whether anything came since the last measurement."""
    sampling_rate: float = 1.0
    """Share of the version's predictions that was to be logged."""

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
        answer_bin: int | None,
        latency_ms: float,
        replica: str,
        sequence: int,
        sampling_rate: float = 1.0,
    ) -> "Slice":
        """With one more prediction; without a bin for its answer it has failed."""
        low, high = self.replicas.get(replica, (sequence, sequence))
        return Slice(
            self.model,
            self.version,
            self.arm,
            self.rollout_id,
            self.weight,
            self.start,
            self.end,
            self.due,
            self.n + 1,
            self.errors + (answer_bin is None),
            add(self.latencies, latency_bin(latency_ms)),
            self.scores if answer_bin is None else add(self.scores, answer_bin),
            self.loss,
            {**self.replicas, replica: (min(low, sequence), max(high, sequence))},
            self.revision,
            True,
            sampling_rate,
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
