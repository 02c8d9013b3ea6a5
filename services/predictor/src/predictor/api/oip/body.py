"""Requests and answers over HTTP: JSON, and the binary tensor data extension.

With the extension, the body is a JSON object of as many bytes as Inference-Header-Content-Length
says, and then the bytes of those tensors whose parameters have `binary_data_size`, in their order.
"""

from typing import Any

import msgspec

from predictor.api.native.contract import MalformedError
from predictor.api.oip.datatypes import check_json, from_bytes, require_datatype, to_bytes
from predictor.api.oip.tensors import (
    InferAnswer,
    InferRequest,
    Tensor,
    TensorError,
    count_of,
    refuse_extensions,
)
from predictor.domain.errors import shown


class WireInput(msgspec.Struct):
    """An input tensor as JSON has it."""

    name: str
    shape: list[int]
    datatype: str
    parameters: dict[str, Any] | None = None
    data: list[Any] | None = None


class WireOutput(msgspec.Struct):
    """A wanted output."""

    name: str
    parameters: dict[str, Any] | None = None


class WireRequest(msgspec.Struct):
    """The JSON object of a request; what else it holds is left alone, as the protocol says."""

    inputs: list[WireInput]
    id: str | None = None
    parameters: dict[str, Any] | None = None
    outputs: list[WireOutput] | None = None


class WireTensor(msgspec.Struct, omit_defaults=True):
    """An output tensor as JSON has it."""

    name: str
    datatype: str
    shape: list[int]
    parameters: dict[str, Any] = {}
    data: list[Any] | None = None


class WireAnswer(msgspec.Struct, omit_defaults=True):
    """The JSON object of an answer."""

    model_name: str
    outputs: list[WireTensor]
    model_version: str | None = None
    id: str | None = None


class WireError(msgspec.Struct):
    """Any answer that is not 200."""

    error: str


_decode = msgspec.json.Decoder(WireRequest).decode
encode = msgspec.json.Encoder().encode


def decode(body: bytes, header_length: int | None) -> tuple[InferRequest, set[str] | None]:
    """A request, and which outputs are wanted in binary: None for all.

    The first `header_length` bytes are JSON; None: all are.

    Raises:
        BadRequestError: it breaks the protocol.
    """
    length = len(body) if header_length is None else header_length
    if length > len(body):
        raise MalformedError(
            f"Inference-Header-Content-Length says {length}, and the body has {len(body)} bytes"
        )
    try:
        wire = _decode(memoryview(body)[:length])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedError(f"the body is no inference request: {error}") from None
    rest, at = body, length
    inputs = []
    for i, each in enumerate(wire.inputs):
        tensor, at = _input(each, f"inputs[{i}]", rest, at)
        inputs.append(tensor)
    if at != len(body):
        raise TensorError(
            f"{len(body) - at} bytes follow that no input's binary_data_size tells of"
        )
    for i, each in enumerate(wire.outputs or ()):
        refuse_extensions(each.parameters or {}, f"outputs[{i}].parameters")
    names = None if wire.outputs is None else [each.name for each in wire.outputs]
    return InferRequest(inputs, wire.id, wire.parameters or {}, names), _binary(wire)


def _binary(wire: WireRequest) -> set[str] | None:
    everything = (wire.parameters or {}).get("binary_data_output") is True
    if wire.outputs is None:
        return None if everything else set()
    return {
        each.name
        for each in wire.outputs
        if (each.parameters or {}).get("binary_data", everything) is True
    }


def _input(each: WireInput, field: str, body: bytes, at: int) -> tuple[Tensor, int]:
    require_datatype(each.datatype, field)
    parameters = each.parameters or {}
    refuse_extensions(parameters, f"{field}.parameters")
    count = count_of(each.shape, field)
    size = parameters.get("binary_data_size")
    if size is None:
        if each.data is None:
            raise TensorError(
                f"{field} has no data: send data, or binary_data_size among its parameters", field
            )
        values = _flat(each.data, each.shape, count, field)
        return Tensor(
            each.name, each.datatype, each.shape, check_json(each.datatype, values, field)
        ), at
    if type(size) is not int or size < 0 or at + size > len(body):
        raise TensorError(
            f"{field}: binary_data_size is {shown(size)}, and {len(body) - at} bytes are left",
            field,
        )
    if each.data is not None:
        raise TensorError(f"{field} has data and binary_data_size: send one of them", field)
    values = from_bytes(each.datatype, body[at : at + size], count, field)
    return Tensor(each.name, each.datatype, each.shape, values), at + size


def _flat(data: list[Any], shape: list[int], count: int, field: str) -> list[Any]:
    """The elements, which may be nested as the shape says, or flat."""
    if len(shape) > 1 and any(type(each) is list for each in data):
        level = data
        for size in shape[1:]:
            if not all(type(each) is list and len(each) == size for each in level):
                raise TensorError(f"{field}: data is not nested as shape {shape} says", field)
            level = [value for each in level for value in each]
        data = level
    if len(data) != count:
        raise TensorError(
            f"{field}: data has {len(data)} elements, where shape {shape} makes {count}", field
        )
    return data


def encoded(answer: InferAnswer, binary: set[str] | None) -> tuple[bytes, int | None]:
    """The body of an answer, and the length of its JSON; None when all of it is JSON.

    The outputs named in `binary` go as bytes; None: all do.
    """
    tensors: list[WireTensor] = []
    parts: list[bytes] = []
    for each in answer.outputs:
        if binary is None or each.name in binary:
            part = to_bytes(each.datatype, each.data)
            parts.append(part)
            parameters = {"binary_data_size": len(part)}
            tensors.append(WireTensor(each.name, each.datatype, each.shape, parameters))
        else:
            tensors.append(WireTensor(each.name, each.datatype, each.shape, data=each.data))
    head = encode(WireAnswer(answer.model, tensors, answer.version, answer.id))
    if not parts:
        return head, None
    return b"".join((head, *parts)), len(head)
