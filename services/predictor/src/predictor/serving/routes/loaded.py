"""A model version in memory."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import msgspec

from event_schemas.model import ModelVersion
from event_schemas.policy import Feature
from event_schemas.task import BINARY, Target
from predictor.domain.answer import Answers, answers_of
from predictor.domain.errors import UnknownModelError, shown
from predictor.domain.features import Input, Signature, Value
from predictor.domain.routing import Arm, Route, Routes
from predictor.ports import ChildModel, Model


@dataclass(frozen=True, eq=False, slots=True, weakref_slot=True)
class LoadedVersion:
    """What it takes to answer with a version; it lives as long as a route or a request holds it."""

    model: str
    version: str
    sha256: str
    signature: Signature
    scorer: Model
    sampling_rate: float = 1.0
    """Share of its predictions that is logged."""
    cache_seconds: float | None = None
    """How long its answers may be given again; None: never."""
    target: Target = BINARY

    answers: Answers = field(init=False)
    """What its answers mean."""

    child: ChildModel | None = field(init=False)
    """The scorer, when it runs in a child process."""
    reads_stores: bool = field(init=False)
    """Whether a prediction first needs stored features or the prediction cache."""
    name_values: Callable[[Sequence[Value]], Any] = field(init=False)
    """Gives a row the names of the features, for the log."""

    def __post_init__(self) -> None:
        """Find out once what each request needs to know."""
        child = self.scorer if isinstance(self.scorer, ChildModel) else None
        object.__setattr__(self, "child", child)
        object.__setattr__(self, "answers", answers_of(self.target))
        reads_stores = bool(self.signature.lookups) or self.cache_seconds is not None
        object.__setattr__(self, "reads_stores", reads_stores)
        object.__setattr__(self, "name_values", naming(self.signature.names))

    def is_of(self, version: ModelVersion) -> bool:
        """Whether this is the announced version: same file, features and answers."""
        return (
            self.model == version.model
            and self.version == version.version
            and self.sha256 == version.artifact.sha256
            and self.target == version.target
            and self.signature.inputs == inputs(version.features)
            and self.sampling_rate == version.policies.serving.sampling_rate
            and self.cache_seconds == version.policies.serving.cache_seconds
        )


LoadedRoute = Route[LoadedVersion]
LoadedRoutes = Routes[LoadedVersion]


def arm_of_version(route: LoadedRoute, version: str) -> Arm[LoadedVersion]:
    """The arm in which a version is loaded.

    Raises:
        UnknownModelError: it is not.
    """
    for arm in (route.champion, route.challenger):
        if arm is not None and arm.version.version == version:
            return arm
    known = ", ".join(each.version for each in route.versions)
    raise UnknownModelError(
        "unknown_version",
        f"version {shown(version)} of {shown(route.model)} is not loaded; loaded are {known}",
        "version",
    )


def named_arm(route: LoadedRoute, name: str) -> Arm[LoadedVersion]:
    """The arm with a name: `champion`, `challenger`, or a version.

    Raises:
        UnknownModelError: nothing that is loaded has it.
    """
    if name == "champion":
        return route.champion
    if name != "challenger":
        return arm_of_version(route, name)
    if route.challenger is None:
        raise UnknownModelError(
            "no_challenger",
            f"{shown(route.model)} has no challenger at the moment: version"
            f" {route.champion.version.version} answers everything",
        )
    return route.challenger


def inputs(features: tuple[Feature, ...]) -> tuple[Input, ...]:
    """The features of the contract as the domain knows them."""
    return tuple(
        Input(
            name=each.name,
            kind=each.kind,
            stored=each.source == "store",
            view=each.view or "",
            field=each.field or each.name,
            join_key=each.join_key or "",
            required=each.required,
            default=float(each.default) if isinstance(each.default, int) else each.default,
            max_age_seconds=each.max_age_seconds,
            last_known_seconds=each.last_known_seconds,
        )
        for each in features
    )


@lru_cache(maxsize=256)
def naming(names: tuple[str, ...]) -> Callable[[Sequence[Value]], Any]:
    """What gives the values of a model's inputs their names for the log; no values have none.

    A structure is made and encoded in half the time of a dictionary. The versions of a model mostly
    have the same inputs, and so the same structure: a type that is dropped is never freed once it
    was frozen (`gc.freeze`).
    """
    fields = [f"f{number}" for number in range(len(names))]
    try:
        named = msgspec.defstruct("Features", fields, rename=dict(zip(fields, names, strict=True)))
    except ValueError:  # a name that JSON has to escape
        return lambda row: dict(zip(names, row, strict=False))
    return lambda row: named(*row) if row else {}
