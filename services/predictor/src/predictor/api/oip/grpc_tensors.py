"""Requests and answers over gRPC: elements lie in typed lists, or as bytes beside the tensors.

The messages have a descriptor pool of their own: each client library brings its copy of the package
`inference`, and two of them in one pool of one process are an error.
"""

from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from predictor.api.oip.datatypes import (
    BYTES,
    check_json,
    from_bytes,
    require_datatype,
    text,
    to_bytes,
)
from predictor.api.oip.tensors import (
    InferAnswer,
    InferRequest,
    Tensor,
    TensorError,
    count_of,
    refuse_extensions,
)

SERVICE = "inference.GRPCInferenceService"
DESCRIPTORS = Path(__file__).with_name("open_inference.binpb")
_CONTENTS = {
    "BOOL": "bool_contents",
    "UINT8": "uint_contents",
    "UINT16": "uint_contents",
    "UINT32": "uint_contents",
    "UINT64": "uint64_contents",
    "INT8": "int_contents",
    "INT16": "int_contents",
    "INT32": "int_contents",
    "INT64": "int64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    BYTES: "bytes_contents",
}
"""Where the elements of each datatype lie; those of 16-bit floats are bytes always."""


@cache
def _pool() -> descriptor_pool.DescriptorPool:
    found = descriptor_pb2.FileDescriptorSet.FromString(DESCRIPTORS.read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for each in found.file:
        pool.Add(each)
    return pool


@cache
def message(name: str) -> Any:
    """The class of a message, e.g. `ModelInferRequest`."""
    return message_factory.GetMessageClass(_pool().FindMessageTypeByName(f"inference.{name}"))


def methods() -> dict[str, tuple[Any, Any]]:
    """Request and response of each method of the service."""
    service = _pool().FindServiceByName(SERVICE)
    return {
        each.name: (message(each.input_type.name), message(each.output_type.name))
        for each in service.methods
    }


def decoded(request: Any) -> InferRequest:
    """A `ModelInferRequest`; raise BadRequestError when it breaks the protocol."""
    raw = request.raw_input_contents
    if raw and len(raw) != len(request.inputs):
        raise TensorError(
            f"raw_input_contents has {len(raw)} items, for {len(request.inputs)} inputs: send one"
            " for each, or none at all",
            "raw_input_contents",
        )
    inputs = [
        _tensor(each, raw[i] if raw else None, f"inputs[{i}]")
        for i, each in enumerate(request.inputs)
    ]
    for i, each in enumerate(request.outputs):
        refuse_extensions(_parameters(each.parameters), f"outputs[{i}].parameters")
    return InferRequest(
        inputs,
        request.id or None,
        _parameters(request.parameters),
        [each.name for each in request.outputs] or None,
    )


def _parameters(given: Any) -> dict[str, Any]:
    found = {}
    for name, each in given.items():
        choice = each.WhichOneof("parameter_choice")
        if choice is not None:
            found[name] = getattr(each, choice)
    return found


def _tensor(each: Any, raw: bytes | None, field: str) -> Tensor:
    require_datatype(each.datatype, field)
    refuse_extensions(_parameters(each.parameters), f"{field}.parameters")
    shape = list(each.shape)
    count = count_of(shape, field)
    if raw is not None:
        if each.contents.ListFields():
            raise TensorError(
                f"{field} has contents beside raw_input_contents: send one of them", field
            )
        return Tensor(each.name, each.datatype, shape, from_bytes(each.datatype, raw, count, field))
    place = _CONTENTS.get(each.datatype)
    if place is None:
        raise TensorError(f"{field}: {each.datatype} goes in raw_input_contents alone", field)
    values: list[Any] = list(getattr(each.contents, place))
    if len(values) != count:
        raise TensorError(
            f"{field}: {place} has {len(values)} elements, where shape {shape} makes {count}", field
        )
    if each.datatype == BYTES:
        values = [text(value, f"{field}[{i}]") for i, value in enumerate(values)]
    elif place in ("int_contents", "uint_contents"):
        check_json(each.datatype, values, field)
    return Tensor(each.name, each.datatype, shape, values)


def encoded(answer: InferAnswer, raw: bool) -> Any:
    """The `ModelInferResponse` of an answer, with its elements as bytes or in lists."""
    response = message("ModelInferResponse")(
        model_name=answer.model, model_version=answer.version or "", id=answer.id or ""
    )
    for each in answer.outputs:
        tensor = response.outputs.add(name=each.name, datatype=each.datatype, shape=each.shape)
        if raw:
            response.raw_output_contents.append(to_bytes(each.datatype, each.data))
        elif each.datatype == BYTES:
            tensor.contents.bytes_contents.extend(value.encode() for value in each.data)
        else:
            getattr(tensor.contents, _CONTENTS[each.datatype]).extend(each.data)
    return response
