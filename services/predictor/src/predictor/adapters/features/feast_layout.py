"""How Feast lays a row out in Redis: its key, its field names, its values.

The layout is Feast's published one (entity key serialization version 3, see "Redis Online Store
Format" in its documentation). A row is a hash under `serialized entity key + project`; a field is
named by the murmur3 hash of `view:field`; a value is a serialized `feast.types.Value`. Tests hold
all three against Feast itself.
"""

import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import mmh3
from google.protobuf.timestamp_pb2 import Timestamp

_STRING, _INT32, _INT64 = 2, 3, 4
"""Numbers of `feast.types.ValueType.Enum`."""

# The first byte of a serialized Value: field number and wire type.
_TEXT, _I32, _I64, _DOUBLE, _FLOAT, _BOOL = 0x12, 0x18, 0x20, 0x29, 0x35, 0x38

_double = struct.Struct("<d").unpack_from
_float = struct.Struct("<f").unpack_from
_timestamp = Timestamp.FromString

KeyOf = Callable[[Any], bytes]


def row_key(project: str, column: str, kind: str) -> KeyOf:
    """A function from the key of a row, see `Column.key`, to its key in Redis.

    Args:
        project: the Feast project.
        column: the join key's column in Feast.
        kind: its type in Feast: STRING, INT32 or INT64.

    Raises:
        ValueError: rows cannot be found by that type.
    """
    name = column.encode()
    head = struct.pack("<III", 1, _STRING, len(name)) + name
    tail = project.encode()
    if kind == "STRING":

        def of_text(value: str) -> bytes:
            text = value.encode()
            return b"%b%b%b%b" % (head, struct.pack("<II", _STRING, len(text)), text, tail)

        return of_text
    if kind in ("INT32", "INT64"):
        pack = struct.Struct("<IIi" if kind == "INT32" else "<IIq").pack
        number, size = (_INT32, 4) if kind == "INT32" else (_INT64, 8)

        def of_integer(value: int) -> bytes:
            return b"%b%b%b" % (head, pack(number, size, value), tail)

        return of_integer
    raise ValueError(f"join key {column} is {kind}: rows are found by STRING, INT32 or INT64")


def field_key(view: str, field: str) -> bytes:
    """The name of a field in the hash."""
    return mmh3.hash(f"{view}:{field}", signed=False).to_bytes(4, "little")


def time_key(view: str) -> bytes:
    """The name of the field that holds the event time of a view's values."""
    return b"_ts:" + view.encode()


def stored_values(row: Sequence[bytes | None]) -> Sequence[Any]:
    """Stored values, each as `stored_value` reads it; a row of float64 alone is read at once."""
    if row and None not in row:
        data = b"".join(row)  # type: ignore[arg-type]  # none of them is None
        # A value that begins with this tag has nine bytes, so the next tag is where it has to be.
        if len(data) == 9 * len(row) and data[::9] == b"\x29" * len(row):
            return _doubles(len(row))(data)
    return [stored_value(each) for each in row]


@lru_cache(maxsize=256)
def _doubles(count: int) -> Callable[[bytes], Sequence[float]]:
    return struct.Struct("<" + count * "xd").unpack


def stored_value(data: bytes | None) -> Any:
    """A stored value; None for one that is absent or null.

    Numbers, text and booleans, all that a model can take, are read here; any other type is handed
    to Feast.
    """
    if not data:
        return None
    tag = data[0]
    if tag == _DOUBLE:
        return _double(data, 1)[0]
    if tag == _TEXT:
        size, at = _varint(data, 1)
        return data[at : at + size].decode()
    if tag in (_I64, _I32):
        number, _ = _varint(data, 1)
        return number - (1 << 64) if number >> 63 else number
    if tag == _FLOAT:
        return _float(data, 1)[0]
    if tag == _BOOL:
        return data[1] != 0
    return _value_of_another_type(data)


def seconds(data: bytes | None) -> float:
    """A serialized `google.protobuf.Timestamp` in seconds since 1970; 0 for none."""
    if not data:
        return 0.0
    time = _timestamp(data)
    return time.seconds + time.nanos / 1e9


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A base-128 number and the position behind it."""
    byte = data[at]
    if byte < 0x80:
        return byte, at + 1
    number, shift = byte & 0x7F, 7
    while True:
        at += 1
        byte = data[at]
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at + 1
        shift += 7


def _value_of_another_type(data: bytes) -> Any:
    from feast.protos.feast.types.Value_pb2 import Value
    from feast.type_map import feast_value_type_to_python_type

    return feast_value_type_to_python_type(Value.FromString(data))
