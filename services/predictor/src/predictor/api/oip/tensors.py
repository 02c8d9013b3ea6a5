"""A request and its answer as the protocol has them, whichever way they came."""

from dataclasses import dataclass, field
from typing import Any

from predictor.api.native.contract import InvalidRequestError
from predictor.domain.errors import BadRequestError, shown


class TensorError(BadRequestError):
    """A tensor is not as the protocol or the model has it."""

    def __init__(self, message: str, field: str | None = None) -> None:
        super().__init__("invalid_tensor", message, field)


@dataclass(slots=True)
class Tensor:
    """A named array; its elements lie flat, in row-major order."""

    name: str
    datatype: str
    shape: list[int]
    data: list[Any]


@dataclass(slots=True)
class InferRequest:
    """What is asked of a model."""

    inputs: list[Tensor]
    id: str | None = None
    parameters: dict[str, Any] = field(default_factory=dict)
    outputs: list[str] | None = None
    """Names of the wanted outputs; None: all."""


@dataclass(slots=True)
class InferAnswer:
    """What a model answered."""

    model: str
    version: str | None
    """None when both arms answered; the output `version` then names that of each row."""
    id: str | None
    outputs: list[Tensor]


def count_of(shape: list[int], field: str) -> int:
    """How many elements a shape makes; raise TensorError when a dimension is negative."""
    count = 1
    for size in shape:
        if size < 0:
            raise TensorError(f"{field}: shape {shape} has a negative dimension", field)
        count *= size
    return count


UNSUPPORTED = {
    "classification": "the classification extension",
    "shared_memory_region": "the shared memory extension",
    "sequence_id": "the sequence extension",
}


def refuse_extensions(parameters: dict[str, Any], field: str) -> None:
    """Raise BadRequestError when parameters ask for an extension that is not served."""
    for name, extension in UNSUPPORTED.items():
        # Triton's client sends a sequence_id of 0 for "none".
        if parameters.get(name):
            raise BadRequestError(
                "unsupported_extension",
                f"{field}: {name} asks for {extension}, which is not served here: leave it out",
                field,
            )


def shortest(seconds: float | None, microseconds: Any) -> float | None:
    """The time that a caller gives a request, in seconds; None where it does not say.

    A header or gRPC's deadline says it in seconds, and the parameter `timeout` of Triton's schedule
    policy in microseconds, where 0 is none.
    """
    if microseconds is None:
        return seconds
    if type(microseconds) is not int or microseconds < 0:
        raise InvalidRequestError(
            f"parameters: timeout is {shown(microseconds)}: send whole microseconds, 0 for none",
            "parameters",
        )
    if not microseconds:
        return seconds
    asked = microseconds / 1e6
    return asked if seconds is None else min(asked, seconds)
