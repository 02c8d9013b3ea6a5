"""One line for each event of the loop, as a person would tell it."""

from typing import Any

import event_schemas as events
from event_schemas.values import category
from servicekit.event import Event


def describe(event: Event[Any]) -> str:
    """The event in a line, without its time."""
    body: events.EventBody = event.body
    match body:
        case events.RetrainRequested():
            return f"retraining of {body.model} requested by {body.requested_by}: {body.cause}"
        case events.RetrainDecided():
            return f"retraining {body.decision}: {body.reason}"
        case events.ModelTrained():
            metrics = ", ".join(f"{m.name} {m.value:.4f}" for m in body.metrics[:3])
            return f"version {body.version.version} trained {metrics}"
        case events.ModelApproved():
            return f"version {body.version.version} approved by {body.approved_by}"
        case events.ModelRejected():
            failed = "; ".join(g.reason for g in body.gates if g.verdict != "passed")
            return f"version {body.version.version} rejected: {failed}"
        case events.TrainingFailed():
            return f"training failed at {body.stage}: {body.error}"
        case events.RolloutStep():
            challenger = (
                f", {body.challenger.version} at {body.weight:.0%}" if body.challenger else ""
            )
            return (
                f"rollout {body.outcome}: {body.champion.version} serves{challenger}; {body.reason}"
            )
        case events.DriftSuspected():
            return f"drift suspected by {body.detector} ({body.value:.3g})"
        case events.DriftDetected() | events.DriftCleared():
            what = "detected" if isinstance(body, events.DriftDetected) else "cleared"
            return f"{body.kind} drift {what}: {body.reason}"
        case events.DataQuarantined():
            rules = [reason.rule for reason in body.reasons[:1]]
            return f"{body.rows} rows of {body.dataset} in quarantine: {', '.join(rules)}"
        case _:
            return _of_many(body)


def _of_many(body: events.EventBody) -> str:
    """An event about data, or one of those that come in numbers."""
    match body:
        case events.DataArrived():
            version = f"version {body.table_version} has {body.total_rows}"
            return f"{body.rows} rows of {body.dataset} arrived; {version}"
        case events.RecordReceived():
            return f"record of {body.entity} for {body.dataset}"
        case events.LabelArrived():
            return f"label {category(body.label)} for prediction {body.prediction_id}"
        case events.ScoreRequested():
            return f"prediction {body.prediction_id} of {body.entity} requested from {body.model}"
        case events.PredictionLogged():
            said = body.error or _answer(body)
            return f"version {body.version} as {body.arm} on {body.entity}: {said}"
        case events.ArmMeasured():
            counts = f"{body.n} predictions, {body.errors} errors"
            return f"version {body.version} as {body.arm}: {counts}"
        case events.RolloutCommand():
            return f"{body.command} commanded by {body.commanded_by}: {body.reason}"
        case _:
            return body.model_dump_json()


def _answer(body: events.PredictionLogged) -> str:
    if body.scores is not None:
        best = max(body.scores, key=body.scores.__getitem__, default="")
        return f"{body.prediction or best} ({body.scores.get(best, 0.0):.4f} for {best})"
    if isinstance(body.prediction, float):
        return f"{body.prediction:.6g}"
    return "no score" if body.score is None else f"{body.score:.4f}"
