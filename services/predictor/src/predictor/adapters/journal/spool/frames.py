"""How a batch lies in a file: a header that can tell whether the rest is whole, then its bytes.

    length u32 | crc32 u32 | records u32 | written_ms i64 | payload

Little-endian; `length` is the payload's, and the checksum covers all that follows it. A process
that is killed within a write leaves a frame that is cut off; a power cut may leave zeros there.
"""

import struct
from typing import NamedTuple
from zlib import crc32

_HEADER = struct.Struct("<IIIq")
_CHECKED = struct.Struct("<Iq")
HEADER_BYTES = _HEADER.size
MAX_PAYLOAD_BYTES = 1 << 30
"""Beyond it a length is noise."""


class Frame(NamedTuple):
    """A batch as it was read."""

    records: int
    written_ms: int
    """Wall time of its writing, in milliseconds since 1970."""
    payload: bytes
    end: int
    """Where the next frame begins."""


class Damage(NamedTuple):
    """Bytes that are no frame."""

    end: int | None
    """Where the next frame may begin; None when nothing after it can be told apart."""
    records: int
    """How many it held, as far as it can be told."""


def framed(payload: bytes, records: int, written_ms: int) -> bytes:
    """The bytes of a frame.

    Args:
        payload: of the batch; not empty.
        records: how many it holds.
        written_ms: wall time in milliseconds since 1970.
    """
    checked = _CHECKED.pack(records, written_ms)
    checksum = crc32(payload, crc32(checked))
    return _HEADER.pack(len(payload), checksum, records, written_ms) + payload


def read_frame(data: bytes, start: int, *, is_all: bool) -> Frame | Damage | None:
    """The frame that begins at `start`.

    Args:
        data: part of a file.
        start: offset in it.
        is_all: whether the file ends with the data.

    Returns:
        None when nothing is left, or more data is needed.
    """
    left = len(data) - start
    if left < HEADER_BYTES:
        return Damage(None, 0) if left and is_all else None
    length, checksum, records, written_ms = _HEADER.unpack_from(data, start)
    if not 0 < length <= MAX_PAYLOAD_BYTES:
        return Damage(None, 0)
    begin, end = start + HEADER_BYTES, start + HEADER_BYTES + length
    if end > len(data):
        return Damage(None, 0) if is_all else None
    payload = data[begin:end]
    if crc32(payload, crc32(_CHECKED.pack(records, written_ms))) != checksum:
        return Damage(end, min(records, length))
    return Frame(records, written_ms, payload, end)
