"""Which predictions a challenger in shadow scores as well, and how long it rests."""

from predictor.domain.shares import in_share


def shadowed(prediction_id: str, share: float) -> bool:
    """Whether a prediction is one of the share; the same each time that it is asked for.

    The number of a prediction id has nothing to do with that of its entity, so the sample is of the
    champion's traffic and not of some entities.
    """
    return in_share(f"shadow|{prediction_id}", share)


def rest_after(took: float, load: float, least: float) -> float:
    """Seconds to leave the process alone after work that took so many.

    Args:
        took: seconds of work.
        load: largest share of the time that may be work, above 0.
        least: shortest rest.
    """
    return max(least, took / load - took)
