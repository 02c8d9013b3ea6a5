"""Policies that no service could carry out, and that those of the defaults can."""

from datetime import timedelta

from event_schemas.policy import DriftPolicy, Feature, Policies, RetrainPolicy, RolloutPolicy
from event_schemas.policy_rules import contradictions


def test_the_defaults_contradict_nothing() -> None:
    assert list(contradictions(Policies())) == []


def test_fault_3_8_each_contradiction_is_told_with_field_and_value() -> None:
    policies = Policies(
        rollout=RolloutPolicy(steps=(0.5, 0.1), max_step=timedelta(0)),
        drift=DriftPolicy(window=timedelta(days=7), slice=timedelta(days=5)),
        retrain=RetrainPolicy(volume_rows=5),
    )
    steps, longest, slices, volume = contradictions(policies)
    assert steps.startswith("rollout.steps is [0.5, 0.1]: give")
    assert longest.startswith("rollout.max_step is no time")
    assert slices.startswith("drift.slice is 5 days, 0:00:00, which does not divide drift.window")
    assert volume.startswith("retrain: volume_rows is 5, but causes lacks volume")


def test_fault_3_8_inputs_are_held_against_what_the_predictor_loads() -> None:
    asked = Feature(name="harbour", kind="category", source="request", default="north")
    stored = Feature(name="wind", kind="number", source="store", view="weather", join_key="harbour")
    assert list(contradictions(Policies(), (asked, stored))) == []
    (told,) = contradictions(Policies(), (asked, stored.model_copy(update={"default": "calm"})))
    assert told == "features: the default of wind is 'calm': give a number"
    (told,) = contradictions(Policies(), (asked, stored.model_copy(update={"join_key": "port"})))
    assert "join_key port, which no request brings; name one of harbour" in told
