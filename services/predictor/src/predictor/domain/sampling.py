"""Which predictions are logged when not all of them are."""

from hashlib import blake2b

_WHOLE = 1 << 64


def logged(prediction_id: str, rate: float) -> bool:
    """Whether a prediction belongs to the share that is logged.

    Its id decides, so a request that is sent again is decided in the same way, and so can anybody
    who holds the log. What is logged at a rate is logged at every higher one.
    """
    if rate >= 1.0:
        return True
    # A prefix of its own: whoever else samples by id is to pick independently.
    digest = blake2b(b"log|" + prediction_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") < int(rate * _WHOLE)
