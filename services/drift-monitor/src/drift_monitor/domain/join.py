"""The join of a prediction with its label, whichever comes first, and however often."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

NAN = math.nan


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is known of one prediction id: the prediction, its label, or both."""

    time: int
    """Event time of the prediction; while there is none, when the label was observed."""
    slice: str = ""
    """Key of the slice that counts the prediction; empty while only the label has come."""
    window: int = -1
    """Start of the aligned window that counts it; -1: none does."""
    part: int = 0
    """Part of that window, when it was closed early."""
    score: float = NAN
    """Probability of the positive class, highest one of any class, or the number of a regression;
    NaN: the prediction failed, or has not come."""
    label: float | str = NAN
    """A number or the name of a class; NaN: it has not come."""
    labelled: int = 0
    """When the label was observed."""
    task: str = "binary"
    """What kind of answer it is."""
    scores: Mapping[str, float] | None = None
    """Probability of each class, of a multiclass model."""

    @property
    def predicted(self) -> bool:
        """Whether the prediction has come."""
        return bool(self.slice)

    @property
    def complete(self) -> bool:
        """Whether there is a loss: an answer and a label."""
        return self.score == self.score and self.label == self.label


def with_label(known: Waiting | None, label: float | str, observed: int) -> Waiting | None:
    """What is known once a label has come; None when that changes nothing.

    The label that was observed last is the truth, in whichever order they come.
    """
    if known is None:
        return Waiting(time=observed, label=label, labelled=observed)
    if known.label == known.label:
        repeated = observed == known.labelled and label == known.label
        if repeated or observed < known.labelled:
            return None
    time = known.time if known.predicted else observed
    return replace(known, time=time, label=label, labelled=observed)
