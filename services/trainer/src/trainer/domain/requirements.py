"""Bounds on measures that a version has to keep: `roc_auc >= 0.75`, `mae <= 12`."""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from event_schemas.task import Target
from trainer.domain.gates import Gate
from trainer.domain.measures import Measure, names_of

_FORM = re.compile(r"\s*([a-z][a-z0-9_]*)\s*(>=|<=)\s*(\S+)\s*")


@dataclass(frozen=True, slots=True)
class Requirement:
    """A bound on one measure."""

    measure: str
    at_least: bool
    """Whether the measure has to be this or more; otherwise this or less."""
    bound: float


class InvalidRequirementError(ValueError):
    """A text that is no bound on a measure."""


def requirement(text: str) -> Requirement:
    """A bound as it is written.

    Raises:
        InvalidRequirementError: it is none.
    """
    found = _FORM.fullmatch(text)
    try:
        bound = float(found[3]) if found else math.nan
    except ValueError:
        bound = math.nan
    if found is None or not math.isfinite(bound):
        raise InvalidRequirementError(
            f"gate.require: {text!r} is no bound; write a measure, >= or <=, and a number, such as"
            " `roc_auc >= 0.75`"
        )
    return Requirement(found[1], found[2] == ">=", bound)


def contradictions(texts: Iterable[str], target: Target) -> Iterator[str]:
    """Each reason for which a bound could not be judged."""
    known = names_of(target)
    for text in texts:
        try:
            measure = requirement(text).measure
        except InvalidRequirementError as error:
            yield str(error)
            continue
        if measure not in known:
            yield (
                f"gate.require: a {target.task} model has no measure {measure}; it has"
                f" {', '.join(known)}"
            )


def judge(text: str, measures: Sequence[Measure]) -> Gate:
    """Whether the measured value keeps a bound; its interval is for people."""
    asked = requirement(text)
    found = next((m for m in measures if m.name == asked.measure), None)
    name = f"require.{asked.measure}"
    if found is None or math.isnan(found.value):
        reason = f"{asked.measure} could not be measured, and {text} is asked"
        return Gate(name, None, asked.bound, "not_measured", reason)
    kept = found.value >= asked.bound if asked.at_least else found.value <= asked.bound
    return Gate(
        name,
        found.value,
        asked.bound,
        "passed" if kept else "failed",
        f"{asked.measure} is {found.value:.4g} on {found.n} rows, and {text} is asked",
    )
