"""Parts a batch into what is logged and what is not."""

from collections import Counter
from collections.abc import Sequence
from typing import Protocol, TypeVar

from predictor.domain.sampling import logged
from predictor.handlers.loaded import LoadedVersion
from predictor.handlers.metrics import UNSAMPLED


class Scored(Protocol):
    """A prediction that may be logged."""

    prediction_id: str
    version: LoadedVersion
    sampling_rate: float


S = TypeVar("S", bound=Scored)


def sampled(batch: Sequence[S]) -> tuple[Sequence[S], Sequence[S]]:
    """Those that are logged, and those that are not, which are counted; each in their order."""
    if all(each.sampling_rate >= 1.0 for each in batch):
        return batch, ()
    kept: list[S] = []
    others: list[S] = []
    for each in batch:
        (kept if logged(each.prediction_id, each.sampling_rate) else others).append(each)
    for model, count in Counter(each.version.model for each in others).items():
        UNSAMPLED.labels(model).inc(count)
    return kept, others
