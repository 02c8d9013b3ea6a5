"""A window: what the version in force saw and answered, over a longer stretch of event time."""

from dataclasses import dataclass, replace
from hashlib import blake2b

from drift_monitor.domain.histograms import NO_SCORES, Counts, add
from drift_monitor.domain.loss import NO_LOSS, LossSums

ALL = 1 << 63
"""Bar above every hash."""


def sample_hash(prediction_id: str) -> int:
    """Where a prediction stands in the order of sampling, in [0, 2^63)."""
    return int.from_bytes(blake2b(prediction_id.encode(), digest_size=8).digest(), "big") >> 1


@dataclass(frozen=True, slots=True)
class Window:
    """One version in force, from `start` to `end`; the rows kept of it lie beside it.

    The sample is the rows with the lowest hashes of their prediction ids, so it depends on the
    predictions and on nothing else. Rows below the bar are kept; when twice too many are, the bar
    is lowered, which never gives up a row that the final sample needs.
    """

    model: str
    version: str
    aligned: int
    """Multiple of the window's length at which it starts, unless it is a later part."""
    start: int
    end: int
    due: int
    """Watermark at which it closes."""
    part: int = 0
    """Tells windows apart that share `aligned`: the rest of one that was closed early, or one
    that began anew because the version came into force again."""
    rows: int = 0
    """Answered predictions."""
    scores: Counts = NO_SCORES
    """Answers in each bin."""
    loss: LossSums = NO_LOSS
    bar: int = ALL
    kept: int = 0
    """Rows below the bar."""
    chunks: int = 0
    """Chunks of rows that lie beside it."""

    def predicted(self, answer_bin: int, *, kept: bool, chunks: int) -> "Window":
        """With one more answered prediction, whose row was kept or not."""
        return Window(
            self.model,
            self.version,
            self.aligned,
            self.start,
            self.end,
            self.due,
            self.part,
            self.rows + 1,
            add(self.scores, answer_bin),
            self.loss,
            self.bar,
            self.kept + kept,
            chunks,
        )

    def with_loss(self, loss: LossSums) -> "Window":
        """With other sums of the realised loss."""
        return replace(self, loss=loss)

    def with_bar(self, hashes: list[int], rows: int) -> "Window":
        """With the bar just above the `rows` lowest of the hashes of all rows."""
        bar = sorted(hashes)[rows] if len(hashes) > rows else ALL
        return replace(self, bar=bar, kept=min(len(hashes), rows))

    def rest(self, at: int) -> "Window":
        """What is left of the window after it was closed early at `at`."""
        start = min(max(at, self.start), self.end)
        return Window(
            *(self.model, self.version, self.aligned, start, self.end, self.due, self.part + 1),
            scores=(0,) * len(self.scores),
            loss=LossSums(bits=self.loss.bits),
        )
