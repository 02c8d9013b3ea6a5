"""The gates of a version, in their order."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from event_schemas.policy import Feature
from trainer.adapters import artifact
from trainer.adapters.held_out import HeldOut
from trainer.domain import gates, requirements, targets
from trainer.domain.compatibility import RequestInput, compatibility
from trainer.domain.gates import Gate, GateRules
from trainer.domain.measures import Measure
from trainer.domain.targets import Floats
from trainer.ports import TrainingTask


def judge(
    task: TrainingTask,
    held: HeldOut,
    train_truth: Floats,
    parity: float,
    measured: Sequence[Measure],
) -> Iterator[Gate]:
    """Each gate of a version.

    Args:
        task: The training.
        held: What the version answered to the held-out rows.
        train_truth: The truth of the training rows.
        parity: Largest difference between artifact and pipeline.
        measured: The version's measures.

    Raises:
        TrainingError: the champion's file does not run.
    """
    policy = task.definition.policies.gate
    rules = GateRules(
        policy.max_regression, policy.margin_unit, policy.min_rows, policy.parity_tolerance
    )
    yield gates.parity(parity, len(held.truth), rules)
    yield gates.min_rows(len(held.truth), rules)
    yield _beats_constant(task, held, train_truth)
    for text in policy.require:
        yield requirements.judge(text, measured)
    if task.champion is not None:
        yield from _of_inputs(task)
        yield _no_worse_than_champion(task, held, rules)


def _of_inputs(task: TrainingTask) -> Iterator[Gate]:
    """The gate of the inputs, where callers could notice a change."""

    def sent(features: Sequence[Feature]) -> list[RequestInput]:
        return [RequestInput(f.name, f.kind, f.required) for f in features if f.source == "request"]

    definition = task.definition
    retired = definition.policies.serving.retired_inputs
    gate = compatibility(sent(task.champion_features), sent(definition.features), retired)
    if gate is not None:
        yield gate


def _beats_constant(task: TrainingTask, held: HeldOut, train_truth: Floats) -> Gate:
    target = held.target
    answer = targets.constant_answer(target, train_truth)
    rival = targets.losses(target, held.truth, targets.repeated(answer, len(held.truth)))
    if target.task == "regression":
        gate, name = "constant", f"always {answer[0]:.6g}"
    elif target.task == "binary":
        gate, name = "base_rate", f"the base rate {answer[0]:.4f}"
    else:
        gate, name = "base_rate", "the shares of the classes among the training rows"
    moments = held.moments if task.champion is not None else None
    return gates.beats_constant(gate, held.losses, rival, name, moments)


def _no_worse_than_champion(task: TrainingTask, held: HeldOut, rules: GateRules) -> Gate:
    """The gate of the loss beside the champion, on held-out rows unseen by it as well.

    When these are too few, all held-out rows count: that favours the champion; the gate says so.
    """
    name, losses, unit = task.champion_name, held.losses, held.target.loss.name
    kinds = {feature.name: feature.kind for feature in task.champion_features}
    missing = [n for n, kind in kinds.items() if n not in held.rows or kind != _kind(held.rows[n])]
    if missing:
        name = f"{name} (its inputs {', '.join(missing)} are no longer there)"
        return gates.loss(unit, losses, None, name, rules)
    if task.champion_target.task != held.target.task:
        name = f"{name} (a {task.champion_target.task} model: give another task another name)"
        return gates.loss(unit, losses, None, name, rules)
    rival = targets.losses(held.target, held.truth, _of_champion(task, held))
    if task.champion_until is not None:
        unseen = held.moments >= int(task.champion_until.timestamp() * 1e6)
        if unseen.sum() >= rules.min_rows:
            losses, rival = losses[unseen], rival[unseen]
        elif not unseen.all():
            name = f"{name} (which may have been trained on {(~unseen).sum()} of them)"
    return gates.loss(unit, losses, rival, name, rules)


def _of_champion(task: TrainingTask, held: HeldOut) -> Floats:
    """The champion's answers to the held-out rows, as this version gives its own."""
    target = task.champion_target
    answers = artifact.answers(
        "champion",
        task.champion,
        task.champion_format,
        held.rows,
        task.champion_features,
        target,
        task.trusted_types,
    )
    if target.task == "multiclass":
        return targets.in_classes_of(held.target, answers, target.classes)
    return answers


def _kind(column: Any) -> str:
    return "number" if column.dtype == np.float32 else "category"
