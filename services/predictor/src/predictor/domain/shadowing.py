"""Which predictions a challenger in shadow scores as well, and how long it rests."""

from hashlib import blake2b

_WHOLE = 1 << 64


def shadowed(prediction_id: str, share: float) -> bool:
    """Whether a prediction is one of the share; the same each time that it is asked for.

    A number in [0, 1) stands for each prediction id, and has nothing to do with that of its entity,
    so the sample is of the champion's traffic and not of some entities.
    """
    if share >= 1.0:
        return True
    digest = blake2b(f"shadow|{prediction_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < int(share * _WHOLE)


def rest_after(took: float, load: float, least: float) -> float:
    """Seconds to leave the process alone after work that took so many.

    Args:
        took: seconds of work.
        load: largest share of the time that may be work, above 0.
        least: shortest rest.
    """
    return max(least, took / load - took)
