"""Parts a batch into what is logged and what is not."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from predictor.domain.batching import grouped
from predictor.domain.shares import is_logged
from predictor.serving.metrics import UNSAMPLED
from predictor.serving.routes.loaded import LoadedVersion


class Scored(Protocol):
    """A prediction that may be logged."""

    prediction_id: str
    version: LoadedVersion
    sampling_rate: float


S = TypeVar("S", bound=Scored)


def sampled(batch: Sequence[S]) -> tuple[list[S], list[S]]:
    """Those that are logged, and those that are not; each in their order."""
    kept: list[S] = []
    others: list[S] = []
    for each in batch:
        rate = each.sampling_rate
        (kept if rate >= 1.0 or is_logged(each.prediction_id, rate) else others).append(each)
    return kept, others


def count_unsampled(batch: Sequence[Scored]) -> None:
    """Count predictions that are not logged."""
    for model, of_model in grouped((each.version.model, each) for each in batch).items():
        UNSAMPLED.labels(model).inc(len(of_model))
