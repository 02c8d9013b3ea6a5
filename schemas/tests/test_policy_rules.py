"""Policies that no service could carry out, and that those of the defaults can."""

from datetime import timedelta

from event_schemas.policy import DriftPolicy, Feature, Policies, RetrainPolicy, RolloutPolicy
from event_schemas.policy_rules import MAX_SLICES, MAX_VERSION_BYTES, contradictions


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


def test_fault_3_3_a_step_holds_so_many_slices_and_not_one_more() -> None:
    minute = timedelta(minutes=1)
    drift = DriftPolicy(window=timedelta(hours=1), slice=minute)
    rollout = RolloutPolicy(max_step=MAX_SLICES * minute)
    assert list(contradictions(Policies(drift=drift, rollout=rollout))) == []
    longer = RolloutPolicy(max_step=MAX_SLICES * minute + timedelta(seconds=1))
    (told,) = contradictions(Policies(drift=drift, rollout=longer))
    assert told.startswith("drift.slice is 0:01:00, of which rollout.max_step, 6 days")
    assert told.endswith("give a longer slice, or a shorter step")


def test_fault_6_1_inputs_of_which_two_fit_into_a_step_are_taken_and_a_byte_more_is_not() -> None:
    def bytes_of(*features: Feature) -> int:
        return sum(len(each.model_dump_json()) + 1 for each in (Policies(), *features))

    many = [Feature(name=f"f{n}", kind="category", source="request") for n in range(100)]
    left = MAX_VERSION_BYTES - bytes_of(*many)
    last = many[0].model_copy(update={"default": "x" * (left + len("null") - len('""'))})
    assert bytes_of(last, *many[1:]) == MAX_VERSION_BYTES
    assert list(contradictions(Policies(), (last, *many[1:]))) == []
    larger = last.model_copy(update={"default": f"{last.default}x"})
    (told,) = contradictions(Policies(), (larger, *many[1:]))
    assert told.startswith("features: 100 of them and the policies take 440001 bytes")
