"""What makes a policy impossible to carry out: the rules of the services that will use it.

Events take a policy as it is, since a contract never refuses what it once accepted. Whoever writes
one asks here first, and whoever would wait for a version asks before that.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import pairwise

from event_schemas.policy import DriftPolicy, Feature, Policies, RetrainPolicy, RolloutPolicy

_NO_TIME = timedelta(0)

MAX_SLICES = 10_000
"""Slices in a `rollout.max_step`: the deployer keeps a measurement of each arm for each of them,
and reads all of them for a verdict."""
MAX_VERSION_BYTES = 440_000
"""Inputs and policies of a version as JSON: a `rollout.step` holds those of two versions, and Kafka
takes a megabyte."""


def contradictions(policies: Policies, features: Sequence[Feature] = ()) -> Iterator[str]:
    """Each reason for which a version with these policies and inputs could not be used.

    A reason names the field, its value and the remedy.
    """
    yield from _of_rollout(policies.rollout)
    yield from _of_drift(policies.drift)
    yield from _of_slices(policies)
    yield from _of_retraining(policies.retrain)
    yield from _of_features(features)
    if features:
        names = {feature.name for feature in features}
        yield from _of_size(policies, features)
        if both := sorted(names & set(policies.serving.retired_inputs)):
            yield f"serving.retired_inputs: {', '.join(both)} is a feature; drop it in one of both"
        answers = {"score", "prediction"}
        if strange := sorted(set(policies.drift.feature_thresholds) - names - answers):
            yield f"drift.feature_thresholds: {', '.join(strange)} is no feature"


def _of_rollout(rollout: RolloutPolicy) -> Iterator[str]:
    steps = rollout.steps
    ascending = all(a < b for a, b in pairwise(steps))
    if not steps or not ascending or steps[0] <= 0 or steps[-1] != 1:
        yield f"rollout.steps is {list(steps)}: give ascending weights above 0, the last 1"
    if rollout.max_step <= _NO_TIME:
        yield "rollout.max_step is no time at all: each step would be rolled back; make it longer"


def _of_drift(drift: DriftPolicy) -> Iterator[str]:
    lengths = {"window": drift.window, "slice": drift.slice, "label_ttl": drift.label_ttl}
    empty = [name for name, length in lengths.items() if length <= _NO_TIME]
    for name in empty:
        yield f"drift.{name} is no time at all; make it longer"
    if not {"window", "slice"} & set(empty) and drift.window % drift.slice:
        yield (
            f"drift.slice is {drift.slice}, which does not divide drift.window, {drift.window}:"
            " give a slice of which whole ones make a window"
        )
    for name, threshold in drift.feature_thresholds.items():
        if threshold <= 0:
            yield f"drift.feature_thresholds.{name} is {threshold:g}: give a number above 0"


def _of_slices(policies: Policies) -> Iterator[str]:
    drift, rollout = policies.drift, policies.rollout
    if drift.slice > _NO_TIME and rollout.max_step / drift.slice > MAX_SLICES:
        yield (
            f"drift.slice is {drift.slice}, of which rollout.max_step, {rollout.max_step}, has more"
            f" than {MAX_SLICES}: give a longer slice, or a shorter step"
        )


def _of_size(policies: Policies, features: Sequence[Feature]) -> Iterator[str]:
    parts = [policies, *features]
    size = sum(len(part.model_dump_json().encode()) + 1 for part in parts)
    if size > MAX_VERSION_BYTES:
        yield (
            f"features: {len(features)} of them and the policies take {size} bytes in each event,"
            f" more than {MAX_VERSION_BYTES}: give fewer, or shorter names and defaults"
        )


def _of_retraining(retrain: RetrainPolicy) -> Iterator[str]:
    if retrain.budget_period <= _NO_TIME:
        yield "retrain.budget_period is no time at all: nothing would count; make it longer"
    if retrain.volume_rows and "volume" not in retrain.causes:
        yield (
            f"retrain: volume_rows is {retrain.volume_rows}, but causes lacks volume,"
            " so each such request would be refused; add it, or drop volume_rows"
        )


def _of_features(features: Sequence[Feature]) -> Iterator[str]:
    names = [feature.name for feature in features]
    if double := {name for name in names if names.count(name) > 1}:
        yield f"features: {', '.join(sorted(double))} is there twice"
    requested = {f.name for f in features if f.source == "request"}
    if features and not requested:
        yield "features: none has the source `request`"
    for feature in features:
        yield from _of_feature(feature, requested)


def _of_feature(feature: Feature, requested: set[str]) -> Iterator[str]:
    name = feature.name
    if feature.source == "store" and not (feature.view and feature.join_key):
        yield f"features: {name} comes from the store, and needs view and join_key"
    elif feature.source == "store" and feature.join_key not in requested:
        yield (
            f"features: {name} is found by join_key {feature.join_key}, which no request brings;"
            f" name one of {', '.join(sorted(requested)) or 'those with the source `request`'}"
        )
    if feature.source == "request" and feature.last_known_seconds is not None:
        yield (
            f"features: {name} comes with the request, so nobody knows a last value"
            " of it; drop last_known_seconds"
        )
    is_text = isinstance(feature.default, str)
    if feature.default is not None and is_text != (feature.kind == "category"):
        remedy = "text" if feature.kind == "category" else "a number"
        yield f"features: the default of {name} is {feature.default!r}: give {remedy}"
