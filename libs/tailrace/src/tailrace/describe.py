"""One line for each event of the loop, as a person would tell it."""

from typing import Any

import event_schemas as events
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
            return body.type
