"""What an answer says about a score."""

import math

from predictor.domain.errors import ModelFailedError

ROUNDING = 1e-5
"""A float32 probability may step over 0 or 1 by this much."""


def probability(score: float) -> float:
    """The score as a probability.

    Raises:
        ModelFailedError: it is none.
    """
    if 0.0 <= score <= 1.0:
        return score
    if math.isnan(score) or not -ROUNDING <= score <= 1.0 + ROUNDING:
        raise ModelFailedError(
            "model_failed", f"the model answered {score}, which is no probability"
        )
    return min(max(score, 0.0), 1.0)


def predicted_class(score: float) -> int:
    """1 from a probability of one half on, else 0."""
    return 1 if score >= 0.5 else 0


def confidence(score: float) -> float:
    """Probability of the predicted class: max(p, 1 - p)."""
    return score if score >= 0.5 else 1.0 - score
