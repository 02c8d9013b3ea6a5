"""The messages of the protocol's gRPC side.

They have a descriptor pool of their own: each client library brings its copy of the package
`inference`, and two of them in one pool of one process are an error.
"""

from functools import cache
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

SERVICE = "inference.GRPCInferenceService"
DESCRIPTORS = Path(__file__).with_name("open_inference.binpb")


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
