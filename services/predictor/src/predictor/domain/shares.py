"""Which predictions belong to a share of them: a name decides, so the answer never changes."""

from hashlib import blake2b

_WHOLE = 1 << 64


def in_share(name: str, share: float) -> bool:
    """Whether the number in [0, 1) that stands for a name is below the share.

    What is in a share is in every larger one. Integers are compared: the largest hash divided by
    2^64 would round to 1.0.
    """
    if share >= 1.0:
        return True
    digest = blake2b(name.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < int(share * _WHOLE)


def is_logged(prediction_id: str, rate: float) -> bool:
    """Whether a prediction belongs to the share that is logged.

    Its id decides, so a request that is sent again is decided in the same way, and so can anybody
    who holds the log.
    """
    # A prefix of its own: whoever else samples by id is to pick independently.
    return in_share(f"log|{prediction_id}", rate)


def is_shadowed(prediction_id: str, share: float) -> bool:
    """Whether a challenger in shadow scores a prediction as well.

    The number of a prediction id has nothing to do with that of its entity, so the sample is of the
    champion's traffic and not of some entities.
    """
    return in_share(f"shadow|{prediction_id}", share)
