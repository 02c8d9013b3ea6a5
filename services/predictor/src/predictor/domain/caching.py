"""The name of a score in the prediction cache, and what is kept under it."""

import struct
from collections.abc import Sequence
from hashlib import blake2b

from predictor.domain.features import Value

PREFIX = "tailrace:score:"
_SCORE = struct.Struct(">d")
_TAG = 32
"""Bytes of a digest, in hexadecimal."""


def score_key(model: str, version: str, sha256: str, entity: str, row: Sequence[Value]) -> bytes:
    """Names the score of a row, as the model sees it.

    Model and version stand in it for people who look for them; the rest is a digest of everything
    that the score depends on, the digest of the model's file included. `repr` tells any two values
    apart, numbers by their last bit, so two rows share a name only where a hash of 128 bits does.
    """
    described = repr((model, version, sha256, entity, *row)).encode()
    digest = blake2b(described, digest_size=16).hexdigest()
    return f"{PREFIX}{model}:{version}:{digest}".encode()


def packed(key: bytes, score: float) -> bytes:
    """A score as it is kept under a name: the same number comes back, under that name alone."""
    return _SCORE.pack(score) + key[-_TAG:]


def unpacked(key: bytes, data: bytes | None) -> float | None:
    """The score that was kept under a name; None for nothing, and for whatever else lies there.

    The end of the name stands beside the score, so that an answer to another question, however it
    came here, is never taken for this one's.
    """
    if data is None or len(data) != _SCORE.size + _TAG or data[_SCORE.size :] != key[-_TAG:]:
        return None
    (score,) = _SCORE.unpack_from(data)
    return score if 0.0 <= score <= 1.0 else None
