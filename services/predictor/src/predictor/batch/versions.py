"""Which version scores: what the rollout in force names, or a version by its number."""

from event_schemas import ModelTrained, RolloutStep
from event_schemas.model import ModelVersion
from predictor.batch.errors import ScoreError
from servicekit.bus import Bus
from servicekit.read_to_end import read_events


def step_in_force(bus: Bus, model: str) -> RolloutStep:
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
