"""Which version answers: immutable routes, and the arm of an entity."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Generic, Literal, TypeVar

from predictor.domain.errors import CannotAnswerError, UnknownModelError, shown
from predictor.domain.shares import in_share

V = TypeVar("V")
"""A loaded version."""


def challenger_answers(salt: str, model: str, entity: str, weight: float) -> bool:
    """Whether the challenger answers for an entity.

    The entity's number stays the same for one salt and model, so raising the weight only ever adds
    entities.
    """
    return in_share(f"{salt}|{model}|{entity}", weight)


@dataclass(frozen=True)
class Arm(Generic[V]):
    """One loaded version and its role."""

    name: Literal["champion", "challenger"]
    version: V


@dataclass(frozen=True)
class Route(Generic[V]):
    """How one model is answered; with it in hand a request needs nothing that may change."""

    model: str
    rollout_id: str
    sequence: int
    phase: str
    weight: float
    """Share of the entities that the challenger answers."""
    salt: str
    champion: Arm[V]
    challenger: Arm[V] | None = None
    shadow: float = 0.0
    """Share of the champion's predictions that the challenger scores as well, unseen."""
    requested: frozenset[str] = frozenset()
    """Features that callers may send: of all versions, since no caller knows which will answer, and
    those that the versions had once, and ignore for a time."""

    def arm(self, entity: str) -> Arm[V]:
        """The arm that answers for an entity."""
        if self.challenger is not None and challenger_answers(
            self.salt, self.model, entity, self.weight
        ):
            return self.challenger
        return self.champion

    @property
    def versions(self) -> tuple[V, ...]:
        """Everything that this route keeps loaded."""
        if self.challenger is None:
            return (self.champion.version,)
        return (self.champion.version, self.challenger.version)


@dataclass(frozen=True)
class Routes(Generic[V]):
    """The routes of all models; a change makes a new object.

    Attributes:
        by_model: Routes that requests take.
        announced: Models that have a rollout, and no version that is loaded yet.
    """

    by_model: Mapping[str, Route[V]] = field(default_factory=lambda: MappingProxyType({}))
    announced: frozenset[str] = frozenset()

    def of(self, model: str) -> Route[V]:
        """The route of a model.

        Raises:
            CannotAnswerError: it is announced and not loaded yet, or no model is loaded at all.
            UnknownModelError: others are, and of this one nothing is known.
        """
        route = self.by_model.get(model)
        if route is not None:
            return route
        if model in self.announced:
            raise CannotAnswerError(
                "loading", f"no version of {shown(model)} is loaded yet: try again later"
            )
        if not self.by_model:
            raise CannotAnswerError("no_model", "no model is loaded yet: try again later")
        raise UnknownModelError(
            "unknown_model",
            f"model {shown(model)} is not served here; known are {', '.join(sorted(self))}",
            "model",
        )

    def __iter__(self) -> Iterator[str]:
        return iter(self.by_model)

    def __len__(self) -> int:
        return len(self.by_model)

    def having(self, route: Route[V]) -> "Routes[V]":
        """These routes, with one set."""
        by_model = MappingProxyType({**self.by_model, route.model: route})
        return Routes(by_model, self.announced - {route.model})

    def awaiting(self, model: str) -> "Routes[V]":
        """These routes, with a model announced that has none yet."""
        return Routes(self.by_model, self.announced | {model})

    def without(self, model: str) -> "Routes[V]":
        """These routes, with one taken away."""
        by_model = {name: r for name, r in self.by_model.items() if name != model}
        return Routes(MappingProxyType(by_model), self.announced - {model})
