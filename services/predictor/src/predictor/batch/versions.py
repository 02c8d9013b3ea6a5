"""Which version scores: what the rollout in force names, or a version by its number."""

from collections.abc import Mapping
from dataclasses import dataclass

from event_schemas import ModelTrained, RolloutStep
from event_schemas.model import ModelVersion
from predictor.domain.errors import ScoreError
from predictor.domain.routing import challenger_answers
from predictor.serving.routes.loaded import LoadedVersion
from predictor.serving.routes.loader import Loader
from servicekit.bus import Bus
from servicekit.read_to_end import read_events


@dataclass(frozen=True)
class Versions:
    """Who scores a table: one version, or those of a rollout, each for its entities."""

    by_arm: Mapping[str, LoadedVersion]
    rollout: RolloutStep | None = None
    """Chooses between champion and challenger; None: there is one version alone."""

    @property
    def salt(self) -> str:
        """What the choice depends on beside the entity."""
        return f"{self.rollout.salt}@{self.rollout.weight}" if self.rollout else ""

    def of(self, entity: str) -> tuple[str, LoadedVersion]:
        """The arm of an entity, and its version."""
        if (step := self.rollout) is None:
            return next(iter(self.by_arm.items()))
        challenger = challenger_answers(step.salt, step.model, entity, step.weight)
        arm = "challenger" if challenger else "champion"
        return arm, self.by_arm[arm]


def load_versions(bus: Bus, loader: Loader, model: str, arm: str, version: str | None) -> Versions:
    """Load who is to score: a version by its number, else an arm, or both where it is `sticky`.

    Raises:
        ScoreError: there is no such version.
        LoadError: it cannot be loaded.
        UnavailableError: brokers or artifacts are away.
    """
    step = current_step(bus, model)
    if version is not None:
        arm, announced = version_named(bus, step, version)
        return Versions({arm: loader.load(announced)})
    if arm == "challenger":
        if step.challenger is None:
            raise ScoreError(f"--arm challenger: {model} has no challenger at the moment")
        return Versions({"challenger": loader.load(step.challenger)})
    champion = loader.load(step.champion)
    if arm == "champion" or step.challenger is None:
        return Versions({"champion": champion})
    return Versions({"champion": champion, "challenger": loader.load(step.challenger)}, step)


def current_step(bus: Bus, model: str) -> RolloutStep:
    """The newest step of a model's rollout.

    Raises:
        ScoreError: it has none.
        UnavailableError: the brokers are away.
    """
    steps: dict[str, RolloutStep] = {}
    for key, event in read_events("predictor", bus, RolloutStep.topic()):
        if event is None:
            steps.pop(key, None)
        elif isinstance(step := event.body, RolloutStep) and (
            key not in steps or step.sequence > steps[key].sequence
        ):
            steps[key] = step
    if model not in steps:
        known = ", ".join(sorted(steps)) or "no model"
        raise ScoreError(f"--model {model}: nothing was rolled out of it; known are {known}")
    return steps[model]


def version_named(bus: Bus, step: RolloutStep, version: str) -> tuple[str, ModelVersion]:
    """A version and its role: that in the rollout, or `none` for one that is only trained.

    Raises:
        ScoreError: there is no such version.
        UnavailableError: the brokers are away.
    """
    for arm, each in (("champion", step.champion), ("challenger", step.challenger)):
        if each is not None and each.version == version:
            return arm, each
    trained = {
        event.body.version.version: event.body.version
        for _, event in read_events("predictor", bus, ModelTrained.topic())
        if event and isinstance(event.body, ModelTrained) and event.body.model == step.model
    }
    if version not in trained:
        known = ", ".join(sorted(trained)) or "none"
        raise ScoreError(
            f"--version {version}: {step.model} has no such version in model.trained; it has"
            f" {known}"
        )
    return "none", trained[version]
