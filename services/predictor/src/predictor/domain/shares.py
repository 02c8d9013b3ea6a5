"""Which of many belong to a share of them; a name decides, so the answer is always the same."""

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
