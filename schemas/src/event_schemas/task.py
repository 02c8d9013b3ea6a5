"""What a model answers, and what one of its answers costs once the truth is known.

| task | an answer | the truth |
|---|---|---|
| `binary` | `score`: probability of the positive class | 0 or 1, or the name of the class |
| `multiclass` | `scores` of all classes, `prediction`: one of them | the name of the class |
| `regression` | `prediction`: a number | a number |

Everything that judges works on the loss of one prediction, so that it knows no task.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainSerializer

from event_schemas.base import Value
from event_schemas.values import category

MAX_CLASSES = 256
"""Classes of a model: each record of a prediction holds a score of each."""
CLIP = 1e-6
"""Probabilities count as this far from 0 and 1: one wrong answer costs 13.8 nats at most."""

_ON_THE_WIRE = {"binary": "binary_classification"}


def _of_the_wire(value: object) -> object:
    return "binary" if value == _ON_THE_WIRE["binary"] else value


Task = Annotated[
    Literal["binary", "multiclass", "regression"],
    BeforeValidator(
        _of_the_wire,
        json_schema_input_type=Literal[
            "binary", "binary_classification", "multiclass", "regression"
        ],
    ),
    PlainSerializer(
        lambda task: _ON_THE_WIRE.get(task, task),
        return_type=Literal["binary_classification", "multiclass", "regression"],
        when_used="json",
    ),
]
"""What a model answers; `binary` is `binary_classification` on the wire, as it was first."""


def _names(classes: object) -> object:
    """YAML takes `1` for a number and `yes` for a boolean; labels of both are categories."""
    return [category(name) for name in classes] if isinstance(classes, list) else classes


ClassNames = Annotated[tuple[str, ...], BeforeValidator(_names)]
"""Names of classes as a file gives them: what YAML makes of a name is a name again."""

LossName = Literal["log_loss", "cost", "squared_error", "absolute_error", "pinball"]

LOSSES: dict[str, tuple[LossName, ...]] = {
    "binary": ("log_loss", "cost"),
    "multiclass": ("log_loss", "cost"),
    "regression": ("squared_error", "absolute_error", "pinball"),
}
"""The losses of each task, the first by default."""


class Loss(Value):
    """What one prediction costs: the measure that gates, arms and windows are judged by."""

    name: LossName = "log_loss"
    """`log_loss` in nats, `cost` in the unit of `costs`, `squared_error` in the label's unit
    squared, `absolute_error` and `pinball` in the label's unit."""
    quantile: float = Field(default=0.5, gt=0, lt=1)
    """Of `pinball`: the quantile that the model answers."""
    costs: tuple[tuple[float, ...], ...] = ()
    """Of `cost`: a row for each true class, a column for each class that is acted on."""


LOG_LOSS = Loss()


@dataclass(frozen=True, slots=True)
class Target:
    """What a model is to answer, and what one answer costs."""

    task: Literal["binary", "multiclass", "regression"] = "binary"
    classes: tuple[str, ...] = ()
    """Names of the classes in the order of the model's scores; none where the labels are numbers,
    and where those of the training rows are taken."""
    loss: Loss = LOG_LOSS

    @property
    def of_names(self) -> bool:
        """Whether labels are names of classes."""
        return self.task == "multiclass" or bool(self.classes)


BINARY = Target()
"""Labels 0 and 1, and their log-loss."""


def contradictions(task: str, classes: Sequence[str], loss: Loss) -> Iterator[str]:
    """Each reason for which nothing could be answered or judged so.

    A reason names the field, its value and the remedy. A multiclass model without classes takes
    those of its training rows.
    """
    if loss.name not in LOSSES[task]:
        yield f"loss.name is {loss.name}: a {task} model takes {' or '.join(LOSSES[task])}"
    if task == "regression" and classes:
        yield f"classes is {list(classes)}: a regression has none; drop it"
    if task == "binary" and len(classes) not in (0, 2):
        yield f"classes has {len(classes)} names: give a negative and a positive one, or none"
    if task == "multiclass" and 0 < len(classes) < 3:
        yield f"classes has {len(classes)} names: give three or more, or set task to binary"
    if len(classes) > MAX_CLASSES:
        yield f"classes has {len(classes)} names, more than {MAX_CLASSES}; give fewer"
    if double := sorted({name for name in classes if list(classes).count(name) > 1}):
        yield f"classes: {', '.join(double)} is there twice"
    if loss.name == "cost":
        yield from _of_costs(task, classes, loss)


def _of_costs(task: str, classes: Sequence[str], loss: Loss) -> Iterator[str]:
    if task == "multiclass" and not classes:
        yield "loss.costs has a row a class: name them in classes"
        return
    size = len(classes) or 2
    if len(loss.costs) != size or any(len(row) != size for row in loss.costs):
        yield f"loss.costs: give {size} rows of {size} numbers: a row for each true class"
    if least := min((cost for row in loss.costs for cost in row if cost < 0), default=0):
        yield f"loss.costs holds {least:g}: give costs of 0 and more, as shares are taken of them"


class InvalidLabelError(ValueError):
    """A label that cannot be the truth about a model's answer."""


def class_of(label: float | str, classes: Sequence[str]) -> int:
    """Which class a label names: its place in `classes`, -1 for one that the model does not know.

    Without classes the model is binary, and they are 0 and 1.

    Raises:
        InvalidLabelError: the model is binary, and the label is none of its classes.
    """
    known = classes or ("0", "1")
    name = category(label if classes or isinstance(label, float) else _as_number(label))
    if name in known:
        return known.index(name)
    if len(known) > 2:
        return -1
    raise InvalidLabelError(f"label is {label!r}: give {known[0]} or {known[1]}")


def _as_number(label: float | str) -> float | str:
    try:
        return float(label)
    except ValueError:
        return label


def number_of(label: float | str) -> float:
    """A label of a regression.

    Raises:
        InvalidLabelError: it is no finite number.
    """
    try:
        found = float(label)
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise InvalidLabelError(f"label is {label!r}: a regression takes a finite number")
    return found


def loss_of_class(loss: Loss, scores: Sequence[float], truth: int) -> float:
    """What one answer of a classification costs.

    A class that the model does not know (-1) had probability 0, and costs as much as the dearest
    mistake.

    Args:
        loss: `log_loss` or `cost`.
        scores: Probability of each class, in the model's order.
        truth: Place of the true class, or -1.
    """
    if loss.name == "cost":
        row = loss.costs[truth] if truth >= 0 else [max(map(max, loss.costs))] * len(scores)
        return row[decision(loss, scores)]
    p = scores[truth] if truth >= 0 else 0.0
    return -math.log(min(max(p, CLIP), 1 - CLIP))


def decision(loss: Loss, scores: Sequence[float]) -> int:
    """The class that is acted on: that of the least expected cost, or the likeliest one."""
    if loss.name != "cost":
        return max(range(len(scores)), key=scores.__getitem__)
    columns = range(len(loss.costs))
    expected = [sum(p * row[j] for p, row in zip(scores, loss.costs, strict=True)) for j in columns]
    return min(columns, key=expected.__getitem__)


def loss_of_number(loss: Loss, prediction: float, truth: float) -> float:
    """What one answer of a regression costs.

    `pinball` is the quantile loss: R. Koenker and G. Bassett, Regression quantiles, Econometrica 46
    (1978), p. 33-50.
    """
    error = truth - prediction
    if loss.name == "absolute_error":
        return abs(error)
    if loss.name == "pinball":
        return max(loss.quantile * error, (loss.quantile - 1) * error)
    return error * error
