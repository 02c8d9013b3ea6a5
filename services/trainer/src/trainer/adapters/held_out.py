"""Held-out rows, and what a version answered to them."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from event_schemas.model import column_beside
from event_schemas.policy import Feature
from event_schemas.task import Target
from trainer.domain import targets
from trainer.domain.targets import Floats

if TYPE_CHECKING:
    import pandas as pd

REFERENCE_ROWS = 5000
"""Held-out rows that are kept beside the model."""
EDGES = 19
"""Ends of the bins that a regression's answers are counted in: its twentieths."""
OTHER_CLASS = "(other)"
"""Label of a row in the reference whose class the version does not know."""


@dataclass(frozen=True)
class HeldOut:
    """The rows that a version is judged on, oldest first."""

    target: Target
    rows: "pd.DataFrame"
    """Inputs of the version, and those of its rival."""
    truth: Floats
    answers: Floats
    """In the form of `trainer.domain.targets`."""
    moments: NDArray[np.int64]
    """Event time of each row, in microseconds since 1970."""

    @cached_property
    def losses(self) -> Floats:
        """Loss of each row."""
        return targets.losses(self.target, self.truth, self.answers)

    def reference(self, features: Sequence[Feature]) -> bytes:
        """A Parquet file of at most `REFERENCE_ROWS` rows, evenly spread over their time.

        Its columns are those of `ModelVersion.reference`.
        """
        count = min(REFERENCE_ROWS, len(self.rows))
        places = np.linspace(0, len(self.rows) - 1, count).astype(np.intp)
        answer = "score" if self.target.task == "binary" else "prediction"
        frame = self.rows.loc[:, [feature.name for feature in features]].iloc[places]
        beside = {"label": self._named(self.truth), answer: self._decided()}
        frame = frame.assign(
            **{column_beside(features, name): values[places] for name, values in beside.items()}
        )
        buffer = io.BytesIO()
        frame.to_parquet(buffer, index=False)
        return buffer.getvalue()

    def answer_edges(self) -> tuple[float, ...]:
        """Of a regression: quantiles of the answers, each once; none for other tasks."""
        if self.target.task != "regression":
            return ()
        shares = np.arange(1, EDGES + 1) / (EDGES + 1)
        return tuple(np.unique(np.quantile(self.answers, shares)).tolist())

    def _decided(self) -> NDArray[Any]:
        if self.target.task != "multiclass":
            return self.answers
        return self._named(targets.decisions(self.target, self.answers))

    def _named(self, truth: NDArray[Any]) -> NDArray[Any]:
        if self.target.task != "multiclass":
            return truth
        # The last one is found at -1.
        return np.array([*self.target.classes, OTHER_CLASS], dtype=object)[truth.astype(np.intp)]
