"""Which predictions are logged when not all of them are."""

from predictor.domain.shares import in_share


def logged(prediction_id: str, rate: float) -> bool:
    """Whether a prediction belongs to the share that is logged.

    Its id decides, so a request that is sent again is decided in the same way, and so can anybody
    who holds the log. What is logged at a rate is logged at every higher one.
    """
    # A prefix of its own: whoever else samples by id is to pick independently.
    return in_share(f"log|{prediction_id}", rate)
