"""Tensors as rows to predict for, and predictions as tensors.

A feature is a tensor of its name and of shape [n] or [n, 1]. Where all features of a model are
numbers, or all are categories, one tensor of shape [n, features] under any other name will do; its
columns are in the order of the model's metadata. Three more tensors or parameters say what the
rows are about: `entity_id`, `event_time` and `prediction_id`.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import uuid4

import msgspec

from event_schemas.task import Target
from predictor.api.native.contract import Instance, InvalidRequestError
from predictor.api.oip.datatypes import BYTES
from predictor.api.oip.tensors import InferRequest, Tensor, TensorError
from predictor.domain.errors import BadRequestError, CannotAnswerError, shown
from predictor.domain.features import Input
from predictor.serving.answering import Prediction

ABOUT = ("entity_id", "event_time", "prediction_id")
"""What a row is about; never in the metadata, since clients would have to send all of it."""


class Output(NamedTuple):
    """One output: a value a row, or some."""

    name: str
    datatype: str
    width: int | None = None
    """Values of a row, whose shape is then [n, width]; None: one, of shape [n]."""


_OF_ALL = (Output("prediction_id", BYTES), Output("version", BYTES), Output("arm", BYTES))


def outputs_of(target: Target) -> Sequence[Output]:
    """The outputs of a model, by its task."""
    if target.task == "regression":
        return (Output("prediction", "FP64"), *_OF_ALL)
    decided = Output("prediction", BYTES if target.classes else "INT64")
    if target.task == "binary":
        return (decided, Output("probability", "FP64"), *_OF_ALL)
    return (decided, Output("probabilities", "FP64", len(target.classes)), *_OF_ALL)


_EXACT = {"FP32": 2**24, "FP16": 2**11, "BF16": 2**8}
"""Where a datatype no longer tells whole numbers apart; FP64 is looked at with the features."""


def datatype_of(each: Input, keys: Collection[str] = ()) -> str:
    """The datatype under which the metadata has a feature.

    Args:
        each: the feature.
        keys: those that find stored rows: whole numbers of 64 bits, which FP64 would not tell
            apart.
    """
    if each.kind == "category":
        return BYTES
    return "INT64" if each.name in keys else "FP64"


def instances(
    request: InferRequest,
    features: Sequence[Input],
    most: int,
    keys: frozenset[str] = frozenset(),
) -> list[Instance]:
    """The rows of a request, at most `most`; their values are not checked yet.

    Args:
        request: what is asked.
        features: those that the caller has to send, in the order of the metadata.
        most: rows that it may have.
        keys: features that find stored rows.

    Raises:
        BadRequestError: its tensors are no rows.
    """
    about, rest = _sorted(request, {each.name for each in features})
    count = _count(request.inputs, most)
    if (matrix := _matrix(rest, features)) is not None:
        values = _values(matrix)
        columns = {each.name: values[i :: len(features)] for i, each in enumerate(features)}
    else:
        columns = {tensor.name: _column(tensor) for tensor in rest}
    for name in keys & columns.keys():
        _require_exact(name, columns[name], (matrix or _named(rest, name)).datatype)
    entities = _about(request, about, "entity_id", count)
    times = [_time(value) for value in _about(request, about, "event_time", count)]
    ids = _about(request, about, "prediction_id", count)
    if count > 1 and "prediction_id" in request.parameters and "prediction_id" not in about:
        raise InvalidRequestError(
            f"parameters.prediction_id names one prediction, and there are {count} rows: send a"
            " tensor prediction_id",
            "parameters.prediction_id",
        )
    return [
        Instance(
            # A caller that names its request is answered by the same arm when it asks again.
            entity_id=entities[i] or request.id or str(uuid4()),
            features={name: values[i] for name, values in columns.items()},
            event_time=times[i],
            prediction_id=ids[i],
        )
        for i in range(count)
    ]


def outputs(
    predictions: Sequence[Prediction], wanted: Sequence[str] | None, target: Target
) -> list[Tensor]:
    """The wanted tensors of predictions, in their order; None: all.

    Args:
        predictions: all answered.
        wanted: names of outputs.
        target: what the metadata says that the model answers. A row that a version with other
            classes answered has a probability of 0 for those that it lacks.

    Raises:
        CannotAnswerError: a version of another task answered a row.
    """
    for version in {each.version for each in predictions}:
        if version.target.task != target.task:
            raise CannotAnswerError(
                "other_task",
                f"version {version.version} is a {version.target.task} model, and the metadata is"
                f" of a {target.task} model: name a version",
            )
    n = len(predictions)
    named = {each.name: each for each in outputs_of(target)}
    return [
        Tensor(
            name,
            named[name].datatype,
            [n] if (width := named[name].width) is None else [n, width],
            _cells(name, predictions, target),
        )
        for name in (named if wanted is None else wanted)
    ]


def _cells(name: str, predictions: Sequence[Prediction], target: Target) -> list[Any]:
    """What the rows have in an output, one after the other."""
    match name:
        case "prediction":
            return [each.decision and each.decision.prediction for each in predictions]
        case "probability":
            return [each.answer for each in predictions]
        case "probabilities":
            rows = [each.version.answers.by_name(each.answer) for each in predictions]
            return [row.get(name, 0.0) for row in rows for name in target.classes]
        case "prediction_id":
            return [each.prediction_id for each in predictions]
        case "version":
            return [each.version.version for each in predictions]
        case _:
            return [each.arm.name for each in predictions]


def require_outputs(wanted: Sequence[str] | None, target: Target) -> None:
    """Raise BadRequestError when a wanted output does not exist."""
    known = [each.name for each in outputs_of(target)]
    for name in wanted or ():
        if name not in known:
            raise BadRequestError(
                "unknown_output",
                f"output {shown(name)} is unknown; known are {', '.join(known)}",
                "outputs",
            )


def _sorted(request: InferRequest, features: set[str]) -> tuple[dict[str, Tensor], list[Tensor]]:
    """The tensors that say what the rows are about, and those that are features.

    A feature may have a name of the former: then the tensor is both.
    """
    about: dict[str, Tensor] = {}
    rest: list[Tensor] = []
    seen: set[str] = set()
    for tensor in request.inputs:
        if tensor.name in seen:
            raise TensorError(f"input {shown(tensor.name)} occurs twice: send it once", "inputs")
        seen.add(tensor.name)
        if tensor.name in ABOUT:
            about[tensor.name] = tensor
        if tensor.name not in ABOUT or tensor.name in features:
            rest.append(tensor)
    return about, rest


def _count(inputs: Sequence[Tensor], most: int) -> int:
    first = inputs[0]
    if not first.shape:
        raise TensorError(
            f"input {shown(first.name)} has no dimension: send shape [n] or [n, 1], n rows",
            "inputs",
        )
    count = first.shape[0]
    if not 1 <= count <= most:
        raise InvalidRequestError(f"the inputs have {count} rows: send 1 to {most}", "inputs")
    for tensor in inputs[1:]:
        if not tensor.shape or tensor.shape[0] != count:
            raise TensorError(
                f"input {shown(tensor.name)} is of shape {tensor.shape}, where"
                f" {shown(first.name)} has {count} rows: send as many of each",
                "inputs",
            )
    return count


def _matrix(rest: Sequence[Tensor], features: Sequence[Input]) -> Tensor | None:
    """The one tensor that holds all features; None when each has its own."""
    if len(rest) != 1 or len(rest[0].shape) != 2:
        return None
    (tensor,) = rest
    if tensor.name in {each.name for each in features}:
        return None
    width = tensor.shape[1]
    if width == 1 != len(features):
        return None  # a column of a feature, which is refused later as unknown
    names = ", ".join(each.name for each in features)
    if width != len(features):
        raise TensorError(
            f"input {shown(tensor.name)} has {width} columns, and the model takes"
            f" {len(features)}: {names}",
            "inputs",
        )
    if len({each.kind for each in features}) > 1:
        raise TensorError(
            f"input {shown(tensor.name)}: the model takes numbers and categories, so each feature"
            f" needs a tensor of its own: {names}",
            "inputs",
        )
    return tensor


def _column(tensor: Tensor) -> list[Any]:
    if len(tensor.shape) > 2 or (len(tensor.shape) == 2 and tensor.shape[1] != 1):
        raise TensorError(
            f"input {shown(tensor.name)} is of shape {tensor.shape}: send [n] or [n, 1]", "inputs"
        )
    return _values(tensor)


def _values(tensor: Tensor) -> list[Any]:
    """The elements as features have them."""
    # NaN is how a tensor says that a value is missing.
    return [None if value != value else value for value in tensor.data]


def _named(tensors: Sequence[Tensor], name: str) -> Tensor:
    return next(each for each in tensors if each.name == name)


def _require_exact(name: str, values: Sequence[Any], datatype: str) -> None:
    """Raise TensorError when a key may stand for another, which its datatype could not say."""
    if (limit := _EXACT.get(datatype)) is None:
        return
    for value in values:
        if type(value) is float and abs(value) >= limit:
            raise TensorError(
                f"input {shown(name)} finds stored rows, and {shown(value)} is beyond what"
                f" {datatype} tells apart: send INT64",
                "inputs",
            )


def _about(request: InferRequest, about: dict[str, Tensor], name: str, count: int) -> list[Any]:
    """A text for each row: of its tensor, else the parameter, else None."""
    tensor = about.get(name)
    if tensor is None:
        values: list[Any] = [request.parameters.get(name)] * count
    else:
        values = _column(tensor)
    for i, value in enumerate(values):
        if type(value) is int and name == "entity_id":
            values[i] = str(value)
        elif value is not None and type(value) is not str:
            raise InvalidRequestError(f"{name} is a text, got {shown(value)}", name)
    return values


def _time(value: str | None) -> datetime | None:
    if value is None:
        return None
    try:
        return msgspec.convert(value, datetime)
    except msgspec.ValidationError:
        raise InvalidRequestError(
            f"event_time {shown(value)} is no time: send RFC 3339 with an offset, e.g."
            " 2013-07-01T05:15:00-04:00",
            "event_time",
        ) from None
