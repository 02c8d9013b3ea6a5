"""The datatypes of tensors: what JSON may hold of each, and their bytes."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from predictor.api.oip.tensors import TensorError
from predictor.domain.errors import shown


@dataclass(frozen=True, slots=True)
class Datatype:
    """A datatype whose elements all have the same size, which those of BYTES have not."""

    name: str
    code: str
    """NumPy's, little-endian."""
    low: float
    high: float

    @property
    def size(self) -> int:
        """Bytes of an element."""
        return np.dtype(self.code).itemsize


def _whole(name: str, code: str) -> Datatype:
    info = np.iinfo(code)
    return Datatype(name, code, int(info.min), int(info.max))


BOOL = Datatype("BOOL", "?", 0, 1)
BF16 = Datatype("BF16", "<u2", -math.inf, math.inf)
"""The upper half of a float32; it has no form in JSON."""
FIXED = {
    each.name: each
    for each in (
        BOOL,
        _whole("UINT8", "<u1"),
        _whole("UINT16", "<u2"),
        _whole("UINT32", "<u4"),
        _whole("UINT64", "<u8"),
        _whole("INT8", "<i1"),
        _whole("INT16", "<i2"),
        _whole("INT32", "<i4"),
        _whole("INT64", "<i8"),
        Datatype("FP16", "<f2", -65504.0, 65504.0),
        Datatype("FP32", "<f4", -3.4028234663852886e38, 3.4028234663852886e38),
        Datatype("FP64", "<f8", -math.inf, math.inf),
        BF16,
    )
}
BYTES = "BYTES"
DATATYPES = (*FIXED, BYTES)


def require_datatype(datatype: str, field: str) -> None:
    """Raise TensorError when a datatype is none of the protocol's."""
    if datatype not in DATATYPES:
        raise TensorError(
            f"{field}: datatype {shown(datatype)} is unknown; known are {', '.join(DATATYPES)}",
            field,
        )


def check_json(datatype: str, values: list[Any], field: str) -> list[Any]:
    """The elements from JSON, where null is a missing value.

    Raises:
        TensorError: one is not of the datatype.
    """
    if datatype == BF16.name:
        raise TensorError(f"{field}: BF16 has no form in JSON: send it as binary data", field)
    if datatype == BYTES:
        accepted, low, high = (str,), 0.0, 0.0
    else:
        kind = FIXED[datatype]
        low, high = kind.low, kind.high
        accepted = (bool,) if kind is BOOL else (int, float) if datatype[0] == "F" else (int,)
    for i, value in enumerate(values):
        if value is None:
            continue
        # A bool is an int to isinstance, and no number to a caller.
        if type(value) not in accepted or (accepted != (str,) and not low <= value <= high):
            raise TensorError(f"{field}[{i}]: {shown(value)} is no {datatype}", field)
    return values


def from_bytes(datatype: str, raw: bytes, count: int, field: str) -> list[Any]:
    """The elements of a tensor from their bytes; BYTES has the length of each before it.

    Raises:
        TensorError: there are more or fewer bytes than the shape says.
    """
    if datatype == BYTES:
        return _texts(raw, count, field)
    kind = FIXED[datatype]
    if len(raw) != kind.size * count:
        raise TensorError(
            f"{field}: {len(raw)} bytes, where the shape and {datatype} make {kind.size * count}",
            field,
        )
    values = np.frombuffer(raw, kind.code)
    if kind is BF16:
        values = (values.astype("<u4") << 16).view("<f4")
    return values.tolist()


def _texts(raw: bytes, count: int, field: str) -> list[Any]:
    found: list[str] = []
    at = 0
    while at < len(raw):
        size = int.from_bytes(raw[at : at + 4], "little")
        end = at + 4 + size
        if at + 4 > len(raw) or end > len(raw):
            raise TensorError(f"{field}: element {len(found)} is cut off", field)
        found.append(text(raw[at + 4 : end], f"{field}[{len(found)}]"))
        at = end
    if len(found) != count:
        raise TensorError(f"{field}: {len(found)} elements, where the shape makes {count}", field)
    return found


def text(raw: bytes, field: str) -> str:
    """An element of BYTES as text; raise TensorError when it is no UTF-8."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise TensorError(f"{field} is no UTF-8", field) from None


def to_bytes(datatype: str, values: list[Any]) -> bytes:
    """The bytes of a tensor that is answered."""
    if datatype == BYTES:
        parts = [value.encode() for value in values]
        return b"".join(len(part).to_bytes(4, "little") + part for part in parts)
    return np.array(values, FIXED[datatype].code).tobytes()
